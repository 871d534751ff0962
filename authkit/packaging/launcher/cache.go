package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	cacheVariable = "AUTHKIT_CACHE_DIR"
	lockSeconds   = 40 // for all locks: a server kills a start after 60 s, and nobody reads why
	othersWrite   = 0o022
	canWrite      = 2     // W_OK of access(2)
	separators    = ":;$" // in LD_LIBRARY_PATH (man ld.so): the libraries would be searched elsewhere
)

// A cache is a folder that only this user can write to. Each plugin file has a folder in it, named by the plugin and the
// hash of its archive.
//
// Two locks keep starts, repairs and clean-up apart. Who starts shares `.lock` until the interpreter runs; who
// unpacks or removes has it alone. Beside each folder `FOLDER.lock` is shared by the processes that run from it,
// for as long as they live: a folder whose lock can be had alone is used by nobody.
type cache struct {
	root  string
	found time.Time
}

// findCache returns the cache in the first folder that can be used.
func findCache() (*cache, error) {
	candidates := []string{}
	if named := os.Getenv(cacheVariable); named != "" {
		candidates = append(candidates, named)
	} else {
		if home := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(home) {
			candidates = append(candidates, filepath.Join(home, "authkit"))
		}
		if home := os.Getenv("HOME"); filepath.IsAbs(home) {
			candidates = append(candidates, filepath.Join(home, ".cache", "authkit"))
		}
		candidates = append(candidates, filepath.Join(os.TempDir(), "authkit-"+strconv.Itoa(os.Geteuid())))
	}
	var faults []string
	for _, each := range candidates {
		root, err := makePrivate(each)
		if err == nil {
			return &cache{root, time.Now()}, nil
		}
		faults = append(faults, err.Error())
	}
	return nil, fmt.Errorf("the plugin can't be unpacked: %s; %s has to name a folder that uid %d owns, with mode 0700, or that it can make below one with mode 1777", strings.Join(faults, "; "), cacheVariable, os.Geteuid())
}

// makePrivate returns the real path of a folder that nobody else can write to, replace or rename. It is made if need be.
func makePrivate(folder string) (string, error) {
	if !filepath.IsAbs(folder) {
		return "", fmt.Errorf("%s: not an absolute path", folder)
	}
	if info, err := os.Lstat(folder); err == nil && !isTrusted(info) {
		return "", otherOwner(folder, info) // a link to a folder of this user's, perhaps
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(real, separators) {
		return "", fmt.Errorf("%q: its name has one of the characters %s", real, separators)
	}
	if err := verifyOwn(real); err != nil {
		return "", err
	}
	if err := syscall.Access(real, canWrite); err != nil {
		return "", fmt.Errorf("%s can't be written to: %w", real, err)
	}
	for parent := filepath.Dir(real); ; parent = filepath.Dir(parent) {
		if err := verifyParent(parent); err != nil {
			return "", err
		}
		if parent == "/" {
			return real, nil
		}
	}
}

// verifyOwn fails unless the folder is this user's, and only this user's to write to.
func verifyOwn(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", folder)
	case ownerOf(info) != os.Geteuid():
		return otherOwner(folder, info)
	case info.Mode().Perm()&othersWrite != 0:
		return fmt.Errorf("%s has mode %#o: others may write to it (chmod go-w %[1]s)", folder, info.Mode().Perm())
	}
	return nil
}

// verifyParent fails if another user but root could put something else in the place of what is in the folder.
func verifyParent(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	if !isTrusted(info) {
		return otherOwner(folder, info)
	}
	if info.Mode().Perm()&othersWrite != 0 && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("%s has mode %#o: others may rename what is in it (chmod +t %[1]s)", folder, info.Mode().Perm())
	}
	return nil
}

func otherOwner(folder string, info os.FileInfo) error {
	return fmt.Errorf("%s belongs to uid %d, another user than the server's, uid %d", folder, ownerOf(info), os.Geteuid())
}

// isTrusted tells whether something is this user's or root's.
func isTrusted(info os.FileInfo) bool { return ownerOf(info) == 0 || ownerOf(info) == os.Geteuid() }

func ownerOf(info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// provide returns the folder of the plugin, unpacked and verified.
//
// The lock of the folder is left open for the interpreter, and so is held until that ends.
func (c *cache) provide(file *pluginFile) (string, error) {
	name := file.Name + "-" + file.Key
	entry := filepath.Join(c.root, name)
	starting, err := c.lock(".lock", syscall.LOCK_SH)
	if err != nil {
		return "", err
	}
	inUse, err := c.lock(name+".lock", syscall.LOCK_SH)
	if err != nil {
		return "", err
	}
	held = append(held, inUse)
	fault := file.verify(entry)
	if fault != nil {
		if _, err := os.Lstat(entry); err == nil {
			tell("warn", fmt.Errorf("%s has been changed since it was unpacked (%w): it is unpacked anew", entry, fault))
		}
		starting.Close()
		if starting, err = c.lock(".lock", syscall.LOCK_EX); err != nil {
			return "", err
		}
		// First, so that there is room: a server kills starts that take long, and each leaves what it has unpacked.
		c.removeUnused(file.Name, name)
		if err := c.replace(file, entry); err != nil {
			return "", fmt.Errorf("the plugin can't be unpacked into %s: %w", c.root, err)
		}
	}
	held = append(held, starting)
	// The interpreter inherits this lock. The other one ends when it begins.
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, inUse.Fd(), syscall.F_SETFD, 0); errno != 0 {
		return "", errno
	}
	return entry, nil
}

// replace puts what the archive holds in the place of the folder, unless another start has done it meanwhile.
func (c *cache) replace(file *pluginFile, entry string) error {
	if file.verify(entry) == nil {
		return nil
	}
	fresh := filepath.Join(c.root, ".new-"+randomText())
	defer os.RemoveAll(fresh)
	if err := file.unpack(fresh); err != nil {
		return err
	}
	if err := c.discard(entry); err != nil {
		return err
	}
	return os.Rename(fresh, entry)
}

// discard removes a folder. Nobody sees half of it.
func (c *cache) discard(entry string) error {
	old := filepath.Join(c.root, ".old-"+randomText())
	if err := os.Rename(entry, old); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(old)
}

// removeUnused removes folders of other versions of the plugin that no process runs from, and what an unpacking that was
// killed has left. It is called with the lock of the cache held alone.
func (c *cache) removeUnused(plugin, current string) {
	found, _ := os.ReadDir(c.root)
	for _, each := range found {
		name := each.Name()
		path := filepath.Join(c.root, name)
		if strings.HasPrefix(name, ".new-") || strings.HasPrefix(name, ".old-") {
			os.RemoveAll(path)
			continue
		}
		key, isOurs := strings.CutPrefix(name, plugin+"-")
		if !isOurs || len(key) != hex.EncodedLen(32) || name == current {
			continue
		}
		lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && c.discard(path) == nil {
			os.Remove(path + ".lock")
		}
		lock.Close()
	}
}

// lock returns a lock file of the cache, locked.
func (c *cache) lock(name string, how int) (*os.File, error) {
	path := filepath.Join(c.root, name)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for ; ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, fmt.Errorf("%s can't be locked: %w", path, err)
		}
		if time.Since(c.found) > lockSeconds*time.Second {
			return nil, fmt.Errorf("%s is locked by another process; it has been waited for %d s", path, lockSeconds)
		}
	}
}

func randomText() string {
	random := make([]byte, 8)
	rand.Read(random)
	return hex.EncodeToString(random)
}

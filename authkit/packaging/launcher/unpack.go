package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

const maxReaders = 4

// verify fails unless the folder has the files of the manifest, byte for byte, and nothing else: an interpreter would import
// what somebody has added.
func (f *pluginFile) verify(folder string) error {
	found := make(map[string]fileRecord, len(f.Files))
	err := filepath.WalkDir(folder, func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if item.IsDir() {
			return verifyOwn(path)
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		wanted, isKnown := f.Files[name]
		if !isKnown {
			return fmt.Errorf("%s was added", name)
		}
		info, err := item.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		if !info.Mode().IsRegular() || ownerOf(info) != os.Geteuid() || mode&othersWrite != 0 || info.Size() != wanted.Size {
			return fmt.Errorf("%s was changed", name)
		}
		if wanted.Executable && mode&0o100 == 0 {
			return fmt.Errorf("%s was changed", name)
		}
		found[name] = wanted
		return nil
	})
	if err != nil {
		return err
	}
	if len(found) != len(f.Files) {
		return fmt.Errorf("%d files are missing", len(f.Files)-len(found))
	}
	return hashAll(folder, found)
}

// hashAll compares the files with their hashes, several at once.
func hashAll(folder string, files map[string]fileRecord) error {
	names := make(chan string)
	faults := make(chan error, maxReaders)
	var readers sync.WaitGroup
	for range min(maxReaders, runtime.NumCPU()) {
		readers.Go(func() {
			var fault error
			for name := range names {
				if fault == nil {
					fault = verifyHash(filepath.Join(folder, name), name, files[name])
				}
			}
			faults <- fault
		})
	}
	for name := range files {
		names <- name
	}
	close(names)
	readers.Wait()
	close(faults)
	for fault := range faults {
		if fault != nil {
			return fault
		}
	}
	return nil
}

func verifyHash(path, name string, wanted fileRecord) error {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	if hex.EncodeToString(hash.Sum(nil)) != wanted.SHA256 {
		return fmt.Errorf("%s was changed", name)
	}
	return nil
}

// unpack makes the folder. What does not fit the manifest is refused: the file was damaged.
func (f *pluginFile) unpack(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	plain, err := gzip.NewReader(f.archive)
	if err != nil {
		return err
	}
	archive := tar.NewReader(plain)
	for count := 0; ; count++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			if count != len(f.Files) {
				return errors.New("the archive is not complete")
			}
			return nil
		}
		if err != nil {
			return err
		}
		wanted, isKnown := f.Files[header.Name]
		if !isKnown || !filepath.IsLocal(header.Name) || header.Size != wanted.Size {
			return fmt.Errorf("the archive's %q is not in its manifest", header.Name)
		}
		if err := write(archive, filepath.Join(folder, header.Name), wanted); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func write(from io.Reader, path string, wanted fileRecord) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	mode := os.FileMode(0o400)
	if wanted.Executable {
		mode = 0o500
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(file, hash), from); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if hex.EncodeToString(hash.Sum(nil)) != wanted.SHA256 {
		return errors.New("it does not have the hash of the manifest")
	}
	return nil
}

package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	pythonVariable = "AUTHKIT_PYTHON"
	canExecute     = 1                              // X_OK of access(2)
	usualPath      = "/usr/local/bin:/usr/bin:/bin" // where PATH is not set
)

// findPython returns the real path of an interpreter of this machine: the one that the operator names, else the first in
// PATH, of the exact name before `python3`. Nobody but root and this user can have put it there. It verifies
// itself what version it is, before it runs anything else of the plugin (machine.py).
func findPython(version string) (string, error) {
	needs := fmt.Sprintf("this plugin needs CPython %s", version)
	if named := os.Getenv(pythonVariable); named != "" {
		found, err := verifyPython(named)
		if err != nil {
			return "", fmt.Errorf("%s, and the one that %s names can't be used: %w", needs, pythonVariable, err)
		}
		return found, nil
	}
	path := os.Getenv("PATH")
	if path == "" {
		path = usualPath
	}
	var faults []string
	for _, name := range []string{"python" + version, "python3"} {
		for _, folder := range filepath.SplitList(path) {
			if !filepath.IsAbs(folder) {
				continue
			}
			found, err := verifyPython(filepath.Join(folder, name))
			if err == nil {
				if faults != nil && name == "python3" { // perhaps of another version: then these say why
					tell("warn", fmt.Errorf("not used: %s", strings.Join(faults, "; ")))
				}
				return found, nil
			}
			if !errors.Is(err, os.ErrNotExist) {
				faults = append(faults, err.Error())
			}
		}
	}
	advice := fmt.Sprintf("install python%s, or name one in %s by its absolute path", version, pythonVariable)
	if faults != nil {
		return "", fmt.Errorf("%s, and those in PATH (%s) can't be used: %s: %s", needs, path, strings.Join(faults, "; "), advice)
	}
	return "", fmt.Errorf("%s, and there is none in PATH (%s): %s", needs, path, advice)
}

// verifyPython returns the real path of an executable that nobody but root and this user can change, with its library.
func verifyPython(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%q is not an absolute path", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	if err := verifyUnshared(filepath.Dir(path)); err != nil {
		return "", err
	}
	if err := verifyUnshared(real); err != nil {
		return "", err
	}
	program, err := elf.Open(real) // no script: it would not start the interpreter as the launcher does
	if err != nil {
		return "", fmt.Errorf("%s is not an executable of this machine, such as a script of pyenv's", real)
	}
	defer program.Close()
	if err := verifyRunpaths(program, filepath.Dir(real)); err != nil {
		return "", fmt.Errorf("%s loads libraries: %w", real, err)
	}
	if err := syscall.Access(real, canExecute); err != nil {
		return "", fmt.Errorf("%s can't be executed: %w", real, err)
	}
	homes, err := findHomes(real)
	if err != nil {
		return "", err
	}
	for _, home := range homes {
		if err := verifyUnshared(home); err != nil {
			return "", fmt.Errorf("%s was copied into an environment: %w", real, err)
		}
		if err := verifyLibrary(home); err != nil {
			return "", fmt.Errorf("%s was copied into an environment: %w", real, err)
		}
	}
	if homes != nil {
		return real, nil
	}
	return real, verifyLibrary(filepath.Dir(real))
}

// findHomes returns the folder of the interpreter that an executable in a virtual environment is a copy of: it takes the
// library of that one (CPython 3.11, Modules/getpath.py, pyvenv.cfg).
func findHomes(program string) ([]string, error) {
	var homes []string
	folder := filepath.Dir(program)
	for _, each := range []string{folder, filepath.Dir(folder)} {
		file := filepath.Join(each, "pyvenv.cfg")
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, line := range strings.FieldsFunc(string(text), func(each rune) bool { return each == '\n' || each == '\r' }) {
			key, value, _ := strings.Cut(line, "=")
			if strings.ToLower(strings.TrimSpace(key)) != "home" {
				continue
			}
			home := strings.TrimSpace(value)
			if !filepath.IsAbs(home) {
				return nil, fmt.Errorf("%s: home is not an absolute path", file)
			}
			real, err := filepath.EvalSymlinks(home)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			homes = append(homes, filepath.Clean(home), real)
		}
	}
	return homes, nil
}

// verifyRunpaths fails if the executable has libraries loaded from a folder that others may change, or may make.
func verifyRunpaths(program *elf.File, origin string) error {
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		values, err := program.DynString(tag)
		if err != nil {
			continue // linked statically
		}
		for _, value := range values {
			for _, each := range strings.Split(value, ":") {
				folder := strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(each)
				if !filepath.IsAbs(folder) || strings.Contains(folder, "$") {
					return fmt.Errorf("%q is not an absolute path", each)
				}
				folder = filepath.Clean(folder)
				for !exists(folder) {
					folder = filepath.Dir(folder)
				}
				if err := verifyResolved(folder); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// verifyLibrary fails unless an interpreter finds its library where nobody else can change it. It searches below a
// folder and those above it but the root, the nearest first (CPython 3.11, Modules/getpath.py, search_up). Without
// `os.py` it takes one whose path was compiled in, which nobody sees from outside.
func verifyLibrary(start string) error {
	isFound := false
	for folder := start; folder != "/"; folder = filepath.Dir(folder) {
		for _, name := range []string{"lib", "lib64"} {
			library := filepath.Join(folder, name)
			if !exists(library) {
				continue
			}
			if err := verifyResolved(library); err != nil {
				return err
			}
			versions, _ := filepath.Glob(filepath.Join(library, "python3.*"))
			for _, each := range versions {
				if err := verifyResolved(each); err != nil {
					return err
				}
				if !exists(filepath.Join(each, "os.py")) && !exists(filepath.Join(each, "os.pyc")) {
					continue // packages only
				}
				if err := verifyModules(each); err != nil {
					return err
				}
				isFound = true
			}
		}
	}
	if !isFound {
		return fmt.Errorf("%s has no library (lib/python3.*/os.py) in a folder above it", start)
	}
	return nil
}

// verifyModules fails if others may change what is in a library, but for packages that -S leaves out.
func verifyModules(library string) error {
	real, err := filepath.EvalSymlinks(library)
	if err != nil {
		return err
	}
	return filepath.WalkDir(real, func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if item.IsDir() && (item.Name() == "site-packages" || item.Name() == "dist-packages") {
			return fs.SkipDir
		}
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil // a link to nothing: nobody else can make it a link to something
		}
		if err != nil {
			return err
		}
		return verifyTrusted(path, info)
	})
}

func verifyResolved(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	return verifyUnshared(real)
}

// verifyUnshared fails if another user but root may write to the file or folder, or to one above. A sticky bit
// does not help: interpreters search for files that are not there yet.
func verifyUnshared(path string) error {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := verifyTrusted(path, info); err != nil || path == "/" {
			return err
		}
	}
}

func verifyTrusted(path string, info os.FileInfo) error {
	if !isTrusted(info) {
		return fmt.Errorf("%s belongs to another user than root and the server's", path)
	}
	if info.Mode().Perm()&othersWrite != 0 {
		return fmt.Errorf("others may write to %s", path)
	}
	return nil
}

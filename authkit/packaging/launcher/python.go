package main

import (
	"debug/elf"
	"errors"
	"fmt"
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
	program.Close()
	if err := syscall.Access(real, canExecute); err != nil {
		return "", fmt.Errorf("%s can't be executed: %w", real, err)
	}
	return real, verifyLibrary(real)
}

// verifyLibrary fails unless the interpreter finds its library where nobody else can change it. It searches below the
// folders above the executable, the nearest first (CPython 3.11, Modules/getpath.py, search_up).
func verifyLibrary(program string) error {
	isFound := false
	for folder := filepath.Dir(program); ; folder = filepath.Dir(folder) {
		for _, name := range []string{"lib", "lib64"} {
			library := filepath.Join(folder, name)
			if _, err := os.Stat(library); err != nil {
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
				isFound = true
			}
		}
		if folder == "/" {
			break
		}
	}
	if !isFound {
		return fmt.Errorf("%s has no library (lib/python3.*) in a folder above it", program)
	}
	return nil
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
		if !isTrusted(info) {
			return fmt.Errorf("%s belongs to another user than root and the server's", path)
		}
		if info.Mode().Perm()&othersWrite != 0 {
			return fmt.Errorf("others may write to %s", path)
		}
		if path == "/" {
			return nil
		}
	}
}

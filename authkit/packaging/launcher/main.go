// The launcher is the executable part of a packed plugin. Behind its own code the file has the plugin with everything
// that it imports, and an interpreter unless the machine has it, as a compressed archive. The launcher unpacks it
// once, verifies what it has unpacked at every start, and becomes the interpreter.
//
// A server starts a plugin of unknown type several times with the cookies of other types. These starts are refused
// before the archive, or any file, is looked at.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	if os.Getenv(cookieKey) != cookieValue {
		fmt.Fprintf(os.Stderr, notice, filepath.Base(os.Args[0]))
		os.Exit(1)
	}
	tell("error", start())
	os.Exit(1)
}

// held are open until the process ends or becomes the interpreter. What nothing refers to would be closed sooner.
var held []*os.File

// start becomes the interpreter. It returns only when that fails.
func start() error {
	file, err := openFile("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("this file can't be read: %w", err)
	}
	python := ""
	if file.Program == "" {
		if python, err = findPython(file.Python); err != nil {
			return err
		}
	}
	cache, err := findCache()
	if err != nil {
		return err
	}
	entry, err := cache.provide(file)
	if err != nil {
		return err
	}
	if python != "" {
		err = become(python, filepath.Join(entry, file.Main), absoluteLibraries(os.Environ()))
		return fmt.Errorf("%s can't be started: %w; name another interpreter in %s", python, err, pythonVariable)
	}
	// Read when the interpreter is loaded. The plugin removes it before anything else: programs that it starts
	// get the machine's own libraries.
	environment := append(without(os.Environ(), "LD_LIBRARY_PATH"), "LD_LIBRARY_PATH="+filepath.Join(entry, "lib"))
	err = become(filepath.Join(entry, file.Program), filepath.Join(entry, file.Main), environment)
	if errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("the interpreter can't be started: this machine has no glibc; it needs glibc %s or later", file.Glibc)
	}
	if errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("the interpreter can't be started: programs may not be executed in %s (noexec?); name another folder in %s", entry, cacheVariable)
	}
	return fmt.Errorf("the interpreter can't be started: %w", err)
}

// become is exec: isolated from PYTHON* variables, from packages of the machine and the user, and from the working directory.
func become(interpreter, main string, environment []string) error {
	arguments := []string{interpreter, "-I", "-S", "-B", main}
	return syscall.Exec(interpreter, append(arguments, os.Args[1:]...), environment)
}

// absoluteLibraries leaves empty and relative folders out of LD_LIBRARY_PATH. They are below the working directory, which
// may be anybody's: the server, without such libraries, never looked there.
func absoluteLibraries(environment []string) []string {
	const name = "LD_LIBRARY_PATH"
	given, isGiven := os.LookupEnv(name)
	if !isGiven {
		return environment
	}
	var kept []string
	for _, folder := range strings.FieldsFunc(given, func(each rune) bool { return each == ':' || each == ';' }) {
		if filepath.IsAbs(folder) {
			kept = append(kept, folder)
		}
	}
	if kept == nil {
		return without(environment, name)
	}
	return append(without(environment, name), name+"="+strings.Join(kept, ":"))
}

func without(environment []string, name string) []string {
	kept := make([]string, 0, len(environment))
	for _, each := range environment {
		if len(each) <= len(name) || each[:len(name)+1] != name+"=" {
			kept = append(kept, each)
		}
	}
	return kept
}

// tell writes one line for the server's log, in the form of hclog (go-plugin 1.8, client.go, logStderr).
func tell(level string, err error) {
	line, _ := json.Marshal(map[string]string{
		"@level":     level,
		"@message":   err.Error(),
		"@module":    "launcher",
		"@timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00"),
	})
	os.Stderr.Write(append(line, '\n'))
}

package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
)

// The end of a plugin's executable: the archive, the manifest, and where they are.
//
//	launcher | archive (tar, gzip) | manifest (JSON) | length of the archive | length of the manifest | magic
//
// Lengths are 8 bytes, the most significant first.
const (
	magic       = "authkit1"
	trailerSize = 8 + 8 + len(magic)
)

// A manifest says what the archive holds.
type manifest struct {
	Name    string                // of the plugin: begins the names of its folders in the cache
	Key     string                // SHA-256 of the archive, hexadecimal
	Glibc   string                // the oldest version that its programs and libraries take
	Program string                // the interpreter, below the folder; empty if the machine has it
	Python  string                // the version that the machine's must have; empty with a program
	Main    string                // what the interpreter runs, below the folder
	Files   map[string]fileRecord // by path below the folder, with slashes
}

type fileRecord struct {
	SHA256     string `json:"sha256"` // hexadecimal
	Size       int64
	Executable bool
}

// A pluginFile is the open executable.
type pluginFile struct {
	manifest
	archive *io.SectionReader
}

func openFile(path string) (*pluginFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	trailer := make([]byte, trailerSize)
	begin := info.Size() - int64(trailerSize)
	if _, err = file.ReadAt(trailer, begin); err != nil {
		return nil, err
	}
	archiveSize := int64(binary.BigEndian.Uint64(trailer))
	manifestSize := int64(binary.BigEndian.Uint64(trailer[8:]))
	if string(trailer[16:]) != magic || archiveSize < 0 || archiveSize > begin || manifestSize < 0 || manifestSize > begin-archiveSize {
		return nil, errors.New("it has been cut off or changed")
	}
	text := make([]byte, manifestSize)
	if _, err = file.ReadAt(text, begin-manifestSize); err != nil {
		return nil, err
	}
	opened := &pluginFile{archive: io.NewSectionReader(file, begin-manifestSize-archiveSize, archiveSize)}
	return opened, json.Unmarshal(text, &opened.manifest)
}

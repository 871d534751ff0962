module authkit.dev/live/load

go 1.24

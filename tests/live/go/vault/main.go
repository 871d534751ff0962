// Command vault is HashiCorp Vault's own server and command line, built from its Go module.
//
// The live tests need a real server; this main package is all that is ours in it.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}

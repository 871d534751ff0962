// Command h2spec runs the public conformance suite for HTTP/2 against a gRPC server that asks for a client
// certificate, which the suite's own command has no flag for.
//
//	h2spec PORT CERTIFICATE KEY REPORT
//
// The server's certificate is verified with the roots that SSL_CERT_FILE names. The report is JUnit XML.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
)

// What h2spec's own command has as defaults, but for the time: everything here is on one machine.
const (
	timeout         = time.Second
	maxHeaderLength = 4000
)

func main() {
	if len(os.Args) != 5 {
		fail(fmt.Errorf("usage: h2spec PORT CERTIFICATE KEY REPORT"))
	}
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fail(err)
	}
	// That cases fail is told in the report, not by the status.
	_, err = h2spec.Run(&config.Config{
		Host:         "localhost",
		Port:         port,
		Path:         "/",
		Timeout:      timeout,
		MaxHeaderLen: maxHeaderLength,
		Strict:       true,
		TLS:          true,
		CertFile:     os.Args[2],
		CertKeyFile:  os.Args[3],
		JUnitReport:  os.Args[4],
	})
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

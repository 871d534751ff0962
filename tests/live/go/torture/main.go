// Command torture calls a gRPC server in every way that a go-plugin host might, and then some.
//
// It speaks mutual TLS over a unix socket, with the certificates it is given, and knows the methods of
// tests/live/test_torture.py. It prints one JSON object a line: the name of a case and what went
// wrong, empty for nothing. Every case is bounded in count and time. With -serve it is the server instead,
// one that sends its clients away all the time (server.go).
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const limit = 90 * time.Second

// raw carries bytes as they are: the server knows no protobuf.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *(v.(*[]byte)), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*(v.(*[]byte)) = append([]byte{}, data...)
	return nil
}
func (raw) Name() string { return "proto" }

func call(ctx context.Context, conn *grpc.ClientConn, method string, request []byte) ([]byte, error) {
	var reply []byte
	err := conn.Invoke(ctx, "/t.T/"+method, &request, &reply)
	return reply, err
}

type testCase struct {
	name string
	run  func(context.Context, *grpc.ClientConn) error
}

var cases = []testCase{
	{"echo of every size", echoSizes},
	{"many calls at once", manyCalls},
	{"cancelled deadlines leave no stream", cancelledDeadlines},
	{"long metadata", longMetadata},
	{"unknown methods", unknownMethods},
	{"exceptions", exceptions},
	{"streams", streams},
	{"calls across a restarted connection", goAway},
}

var frameCases = []struct {
	name string
	run  func(net.Conn) error
}{
	{"a window that shrinks in mid-stream", shrinkingWindow},
	{"a client that says GOAWAY in mid-call", clientGoAway},
}

func main() {
	socket := flag.String("socket", "", "path of the server's unix socket")
	certificate := flag.String("certificate", "", "PEM file with our certificate and key")
	trusted := flag.String("trusted", "", "PEM file with the server's certificate")
	window := flag.Int("window", 0, "fixed flow-control window in bytes; 0 for go-grpc's own estimate")
	serving := flag.Bool("serve", false, "be the server, until standard input ends")
	flag.Parse()
	config, err := mutualTLS(*certificate, *trusted)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if *serving {
		if err := serve(*socket, config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if !run(*socket, config, int32(*window)) {
		os.Exit(1)
	}
}

func run(socket string, config *tls.Config, window int32) bool {
	conn, err := dial(socket, config, window)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	defer conn.Close()
	succeeded := true
	report := func(name string, started time.Time, err error) {
		problem := ""
		if err != nil {
			problem, succeeded = err.Error(), false
		}
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
			"case": name, "problem": problem, "seconds": time.Since(started).Seconds(),
		})
	}
	for _, c := range cases {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		started := time.Now()
		report(c.name, started, c.run(ctx, conn))
		cancel()
	}
	for _, c := range frameCases {
		started := time.Now()
		report(c.name, started, onFrames(socket, config, c.run))
	}
	return succeeded
}

func mutualTLS(certificate, trusted string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certificate, certificate)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(trusted)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate to trust")
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, ServerName: "localhost",
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
	}, nil
}

func dial(socket string, config *tls.Config, window int32) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(1<<30), grpc.MaxCallSendMsgSize(1<<30)),
	}
	if window > 0 {
		options = append(options, grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window))
	}
	return grpc.NewClient("unix:"+socket, options...)
}

func echoSizes(ctx context.Context, conn *grpc.ClientConn) error {
	for _, size := range []int{0, 1, 5, 16379, 16380, 16384, 65535, 65536, 1 << 20, 5_000_000, 40_000_000} {
		request := make([]byte, size)
		rand.New(rand.NewSource(int64(size))).Read(request)
		for _, method := range []string{"Echo", "Async"} {
			reply, err := call(ctx, conn, method, request)
			if err != nil {
				return fmt.Errorf("%s of %d bytes: %w", method, size, err)
			}
			if !bytes.Equal(reply, request) {
				return fmt.Errorf("%s of %d bytes came back as %d others", method, size, len(reply))
			}
		}
	}
	return nil
}

func manyCalls(ctx context.Context, conn *grpc.ClientConn) error {
	return inParallel(200, func(worker int) error {
		for number := range 100 {
			method := []string{"Echo", "Async", "Sleep"}[number%3]
			request := []byte(strings.Repeat(fmt.Sprintf("%d/%d ", worker, number), 1+number%50))
			reply, err := call(ctx, conn, method, request)
			if err != nil {
				return err
			}
			if !bytes.Equal(reply, request) {
				return fmt.Errorf("an answer to another call")
			}
		}
		return nil
	})
}

func cancelledDeadlines(ctx context.Context, conn *grpc.ClientConn) error {
	err := inParallel(50, func(worker int) error {
		for number := range 20 {
			short, cancel := context.WithTimeout(ctx, time.Duration(1+number%5)*time.Millisecond)
			_, err := call(short, conn, "Hang", nil)
			cancel()
			if status.Code(err) != codes.DeadlineExceeded {
				return fmt.Errorf("a call that hangs ended with %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Handlers are cancelled when the resets arrive, which is a moment after the client gave up.
	for range 500 {
		reply, err := call(ctx, conn, "Hanging", nil)
		if err != nil {
			return err
		}
		if string(reply) == "0" {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("handlers still hang")
}

func longMetadata(ctx context.Context, conn *grpc.ClientConn) error {
	value := strings.Repeat("v", 40_000)
	for range 3 {
		long := metadata.AppendToOutgoingContext(ctx, "long", value, "multiplex_id", "abc")
		reply, err := call(long, conn, "Metadata", []byte("long"))
		if err != nil {
			return err
		}
		if string(reply) != value {
			return fmt.Errorf("%d bytes of metadata arrived as %d", len(value), len(reply))
		}
	}
	return nil
}

func unknownMethods(ctx context.Context, conn *grpc.ClientConn) error {
	for _, method := range []string{"Nothing", "Ech", "Echo/", ""} {
		_, err := call(ctx, conn, method, []byte("x"))
		if status.Code(err) != codes.Unimplemented {
			return fmt.Errorf("method %q: %w", method, err)
		}
	}
	return nil
}

func exceptions(ctx context.Context, conn *grpc.ClientConn) error {
	for range 20 {
		_, err := call(ctx, conn, "Break", nil)
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "inside") {
			return fmt.Errorf("an exception became %w", err)
		}
		_, err = call(ctx, conn, "Refuse", nil)
		if status.Code(err) != codes.FailedPrecondition || status.Convert(err).Message() != "nicht heute: 100 % \u00e4" {
			return fmt.Errorf("a refusal became %w", err)
		}
	}
	return nil
}

func streams(ctx context.Context, conn *grpc.ClientConn) error {
	return inParallel(20, func(worker int) error {
		description := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
		stream, err := conn.NewStream(ctx, description, "/t.T/Chat")
		if err != nil {
			return err
		}
		for number := range 50 {
			request := bytes.Repeat([]byte{byte(worker)}, number*997)
			if err := stream.SendMsg(&request); err != nil {
				return err
			}
			var reply []byte
			if err := stream.RecvMsg(&reply); err != nil {
				return err
			}
			if !bytes.Equal(reply, request) {
				return errors.New("an answer to another message")
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		var reply []byte
		if err := stream.RecvMsg(&reply); !errors.Is(err, io.EOF) {
			return fmt.Errorf("the end of a stream became %w", err)
		}
		return nil
	})
}

// goAway has the server end connections in mid-air: calls that it has not begun must succeed elsewhere.
func goAway(ctx context.Context, conn *grpc.ClientConn) error {
	return inParallel(20, func(worker int) error {
		for number := range 50 {
			if worker == 0 && number%10 == 0 {
				if _, err := call(ctx, conn, "GoAway", nil); err != nil {
					return fmt.Errorf("GoAway: %w", err)
				}
			}
			request := []byte(fmt.Sprintf("%d/%d", worker, number))
			reply, err := call(ctx, conn, "Sleep", request)
			if err != nil {
				return fmt.Errorf("call %d of worker %d: %w", number, worker, err)
			}
			if !bytes.Equal(reply, request) {
				return errors.New("an answer to another call")
			}
		}
		return nil
	})
}

func inParallel(workers int, work func(worker int) error) error {
	var group sync.WaitGroup
	problems := make(chan error, workers)
	for worker := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := work(worker); err != nil {
				problems <- err
			}
		}()
	}
	group.Wait()
	close(problems)
	return <-problems
}

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
)

// connectionAge is how long the server keeps a connection before it says GOAWAY, and then again as long for
// calls in flight.
const connectionAge = 20 * time.Millisecond

type echoer interface{}

// serve echoes, and sends every client away every few milliseconds. It ends with standard input.
func serve(socket string, config *tls.Config) error {
	encoding.RegisterCodec(raw{})
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(config)),
		grpc.MaxRecvMsgSize(1<<30),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: time.Minute,
		}),
	)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "t.T", HandlerType: (*echoer)(nil), Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: echo}},
	}, nil)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	fmt.Println("serving")
	return server.Serve(listener)
}

func echo(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var request []byte
	if err := decode(&request); err != nil {
		return nil, err
	}
	time.Sleep(time.Duration(len(request)%4) * time.Millisecond)
	return &request, nil
}

// Command load measures requests per second against a server on this machine.
//
// It sends the requests of a file in turn, from a number of clients with keep-alive connections, bounded in
// count and in time, and prints one JSON object. Comparing two mounts is left to the caller.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxClients   = 512
	maxCount     = 1_000_000
	maxDuration  = 10 * time.Minute
	maxBodyBytes = 1 << 20
	maxFileBytes = 256 << 20
)

type options struct {
	address  string
	requests []request
	token    string
	member   string
	refused  bool
	clients  int
	count    int
	limit    time.Duration
}

// request is one line of the file.
type request struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body"`
}

// report is what the program prints. Latencies are those of requests that were answered as expected.
type report struct {
	Requests   int     `json:"requests"`
	Errors     int     `json:"errors"`
	FirstError string  `json:"first_error,omitempty"`
	Clients    int     `json:"clients"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P50        float64 `json:"p50_ms"`
	P95        float64 `json:"p95_ms"`
	P99        float64 `json:"p99_ms"`
}

func main() {
	opts, err := parse(os.Args[1:])
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), opts.limit)
		defer cancel()
		err = json.NewEncoder(os.Stdout).Encode(measure(ctx, opts))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var opts options
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&opts.address, "address", "", "`URL` of the server, on a loopback address")
	file := flags.String("requests", "", "`file` with one JSON object a line: method, path without /v1/, body")
	flags.StringVar(&opts.member, "member", "", "text that an answer must have, such as auth.client_token")
	flags.BoolVar(&opts.refused, "refused", false, "expect each request to be refused, with a status of 4xx")
	flags.IntVar(&opts.clients, "clients", 1, "clients at work at the same time")
	flags.IntVar(&opts.count, "count", 1000, "requests over all clients")
	flags.DurationVar(&opts.limit, "limit", time.Minute, "end after this time in any case")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if opts.clients < 1 || opts.clients > maxClients || opts.count < 1 || opts.count > maxCount {
		return opts, fmt.Errorf("need 1 to %d clients and 1 to %d requests", maxClients, maxCount)
	}
	if opts.limit <= 0 || opts.limit > maxDuration {
		return opts, fmt.Errorf("-limit must be above 0 and at most %s", maxDuration)
	}
	// The token of the requests, if they need one, is not for the command line.
	opts.token = os.Getenv("LOAD_TOKEN")
	requests, err := readRequests(*file)
	opts.requests = requests
	return opts, errors.Join(err, requireLoopback(opts.address))
}

func readRequests(path string) ([]request, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var requests []request
	lines := bufio.NewScanner(io.LimitReader(file, maxFileBytes))
	lines.Buffer(nil, maxBodyBytes)
	for lines.Scan() {
		var next request
		if err := json.Unmarshal(lines.Bytes(), &next); err != nil {
			return nil, fmt.Errorf("request %d: %w", len(requests)+1, err)
		}
		requests = append(requests, next)
	}
	if len(requests) == 0 && lines.Err() == nil {
		return nil, fmt.Errorf("no requests in %s", path)
	}
	return requests, lines.Err()
}

// requireLoopback keeps a mistyped address from turning the program against somebody's server.
func requireLoopback(address string) error {
	target, err := url.Parse(address)
	if err != nil {
		return err
	}
	ip := net.ParseIP(target.Hostname())
	if target.Scheme != "http" || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%q is not the http URL of a loopback IP address", address)
	}
	return nil
}

// measure shares opts.count requests out among the clients and waits for all of them.
func measure(ctx context.Context, opts options) report {
	transport := &http.Transport{MaxIdleConnsPerHost: opts.clients, DisableCompression: true}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer transport.CloseIdleConnections()

	var (
		next    atomic.Int64
		mutex   sync.Mutex
		latency []time.Duration
		failed  []error
		workers sync.WaitGroup
	)
	start := time.Now()
	for range opts.clients {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for ctx.Err() == nil {
				number := int(next.Add(1)) - 1
				if number >= opts.count {
					return
				}
				began := time.Now()
				err := send(ctx, client, opts, opts.requests[number%len(opts.requests)])
				took := time.Since(began)
				mutex.Lock()
				if err == nil {
					latency = append(latency, took)
				} else {
					failed = append(failed, err)
				}
				mutex.Unlock()
			}
		}()
	}
	workers.Wait()
	return summarise(opts, latency, failed, time.Since(start))
}

// send succeeds only when the request is answered as expected: a 200 without a client token is no login.
func send(ctx context.Context, client *http.Client, opts options, next request) error {
	target := strings.TrimRight(opts.address, "/") + "/v1/" + next.Path
	outgoing, err := http.NewRequestWithContext(ctx, next.Method, target, bytes.NewReader(next.Body))
	if err != nil {
		return err
	}
	outgoing.Header.Set("Content-Type", "application/json")
	if opts.token != "" {
		outgoing.Header.Set("X-Vault-Token", opts.token)
	}
	response, err := client.Do(outgoing)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxBodyBytes))
	if err != nil {
		return err
	}
	wanted := 2
	if opts.refused {
		wanted = 4
	}
	if response.StatusCode/100 != wanted {
		return fmt.Errorf("HTTP %d: %s", response.StatusCode, bytes.TrimSpace(answer))
	}
	if opts.member != "" && !hasText(answer, opts.member) {
		return fmt.Errorf("the answer holds no %s", opts.member)
	}
	return nil
}

// hasText tells whether a JSON object has a text that is not empty under a dotted path.
func hasText(answer []byte, path string) bool {
	for _, name := range strings.Split(path, ".") {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(answer, &object); err != nil {
			return false
		}
		answer = object[name]
	}
	var text string
	return json.Unmarshal(answer, &text) == nil && text != ""
}

func summarise(opts options, latency []time.Duration, failed []error, took time.Duration) report {
	slices.Sort(latency)
	result := report{
		Requests:  len(latency),
		Errors:    len(failed),
		Clients:   opts.clients,
		Seconds:   took.Seconds(),
		PerSecond: float64(len(latency)) / took.Seconds(),
		P50:       percentile(latency, 50),
		P95:       percentile(latency, 95),
		P99:       percentile(latency, 99),
	}
	if len(failed) > 0 {
		result.FirstError = failed[0].Error()
	}
	return result
}

// percentile returns the nearest-rank percentile in milliseconds, 0 when nothing was measured.
func percentile(sorted []time.Duration, rank int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	index := (len(sorted)*rank+99)/100 - 1
	return float64(sorted[index].Microseconds()) / 1000
}

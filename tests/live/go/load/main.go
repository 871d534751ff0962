// Command load measures logins per second against a server on this machine.
//
// It sends one fixed role and token from a number of clients with keep-alive connections, bounded in count and
// in time, and prints one JSON object. Comparing two mounts is left to whoever runs it.
package main

import (
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
	maxLogins    = 1_000_000
	maxDuration  = 10 * time.Minute
	maxBodyBytes = 1 << 20
)

type options struct {
	address string
	mount   string
	role    string
	jwt     string
	clients int
	logins  int
	limit   time.Duration
}

// report is what the program prints. Latencies are those of successful logins.
type report struct {
	Logins          int     `json:"logins"`
	Errors          int     `json:"errors"`
	FirstError      string  `json:"first_error,omitempty"`
	Clients         int     `json:"clients"`
	Seconds         float64 `json:"seconds"`
	LoginsPerSecond float64 `json:"logins_per_second"`
	P50             float64 `json:"p50_ms"`
	P95             float64 `json:"p95_ms"`
	P99             float64 `json:"p99_ms"`
}

func main() {
	opts, err := parse(os.Args[1:])
	if err == nil {
		err = run(opts)
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
	flags.StringVar(&opts.mount, "mount", "", "`path` of the auth mount, without auth/")
	flags.StringVar(&opts.role, "role", "", "role to log in with")
	jwtFile := flags.String("jwt-file", "", "`file` that holds the token")
	flags.IntVar(&opts.clients, "clients", 1, "clients at work at the same time")
	flags.IntVar(&opts.logins, "logins", 1000, "logins over all clients")
	flags.DurationVar(&opts.limit, "limit", time.Minute, "end after this time in any case")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if opts.clients < 1 || opts.clients > maxClients || opts.logins < 1 || opts.logins > maxLogins {
		return opts, fmt.Errorf("need 1 to %d clients and 1 to %d logins", maxClients, maxLogins)
	}
	if opts.limit <= 0 || opts.limit > maxDuration {
		return opts, fmt.Errorf("-limit must be above 0 and at most %s", maxDuration)
	}
	if opts.mount == "" || *jwtFile == "" {
		return opts, errors.New("-mount and -jwt-file are required")
	}
	token, err := os.ReadFile(*jwtFile)
	opts.jwt = strings.TrimSpace(string(token))
	return opts, errors.Join(err, requireLoopback(opts.address))
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

func run(opts options) error {
	body, err := json.Marshal(map[string]string{"role": opts.role, "jwt": opts.jwt})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), opts.limit)
	defer cancel()
	target := strings.TrimRight(opts.address, "/") + "/v1/auth/" + strings.Trim(opts.mount, "/") + "/login"
	return json.NewEncoder(os.Stdout).Encode(measure(ctx, opts, target, body))
}

// measure shares opts.logins out among the clients and waits for all of them.
func measure(ctx context.Context, opts options, target string, body []byte) report {
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
			for next.Add(1) <= int64(opts.logins) && ctx.Err() == nil {
				began := time.Now()
				err := login(ctx, client, target, body)
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

// login succeeds only when the answer holds a client token: a 200 without one is no login.
func login(ctx context.Context, client *http.Client, target string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxBodyBytes))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d: %s", response.StatusCode, bytes.TrimSpace(answer))
	}
	var decoded struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(answer, &decoded); err != nil {
		return err
	}
	if decoded.Auth.ClientToken == "" {
		return errors.New("the answer holds no client token")
	}
	return nil
}

func summarise(opts options, latency []time.Duration, failed []error, took time.Duration) report {
	slices.Sort(latency)
	result := report{
		Logins:          len(latency),
		Errors:          len(failed),
		Clients:         opts.clients,
		Seconds:         took.Seconds(),
		LoginsPerSecond: float64(len(latency)) / took.Seconds(),
		P50:             percentile(latency, 50),
		P95:             percentile(latency, 95),
		P99:             percentile(latency, 99),
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

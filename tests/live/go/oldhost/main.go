// A host as Vault 1.10 was one, on the SDK of that release: it knows no AutoMTLS. It probes a plugin in plaintext,
// has a server wrap the certificate of the connection, starts the plugin with that token, and sends requests.
//
//	oldhost [-spend] [-ttl DURATION] COMMAND [ARGUMENT ...] < requests.json
//
// VAULT_ADDR and VAULT_TOKEN say where and by whom tokens are wrapped. Requests are a JSON list of objects with
// operation, path, data and unauthenticated. What the plugin is, and how it has answered, is printed as one JSON object; what the
// plugin logs goes to standard error. With -spend somebody else uses the token first; one with a short -ttl has
// expired when the plugin is started.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	"github.com/hashicorp/vault/sdk/helper/wrapping"
	"github.com/hashicorp/vault/sdk/logical"
	bplugin "github.com/hashicorp/vault/sdk/plugin"
)

const pluginName = "old"

// server is what the SDK asks a Vault server for, where StaticSystemView does not know.
type server struct {
	logical.StaticSystemView
	runner *pluginutil.PluginRunner
	ttl    time.Duration
	spend  bool
}

func (s *server) LookupPlugin(context.Context, string, consts.PluginType) (*pluginutil.PluginRunner, error) {
	return s.runner, nil
}

func (s *server) ResponseWrapData(ctx context.Context, data map[string]interface{}, _ time.Duration, _ bool) (*wrapping.ResponseWrapInfo, error) {
	headers := map[string]string{"X-Vault-Wrap-TTL": s.ttl.String(), "X-Vault-Wrap-Format": "jwt"}
	var answer struct {
		WrapInfo wrapping.ResponseWrapInfo `json:"wrap_info"`
	}
	if err := call("wrap", data, os.Getenv("VAULT_TOKEN"), headers, &answer); err != nil {
		return nil, err
	}
	token := answer.WrapInfo.Token
	if s.spend {
		if err := call("unwrap", nil, token, nil, nil); err != nil {
			return nil, err
		}
	}
	for s.ttl < time.Minute && call("lookup", map[string]interface{}{"token": token}, token, nil, nil) == nil {
		time.Sleep(50 * time.Millisecond)
	}
	return &wrapping.ResponseWrapInfo{Token: token}, nil
}

// call sends one request to sys/wrapping.
func call(name string, data map[string]interface{}, token string, headers map[string]string, answer interface{}) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPut, os.Getenv("VAULT_ADDR")+"/v1/sys/wrapping/"+name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-Vault-Token", token)
	for key, value := range headers {
		request.Header.Set(key, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("sys/wrapping/%s: %s", name, response.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

type request struct {
	Operation       logical.Operation
	Path            string
	Data            map[string]interface{}
	Unauthenticated bool
}

type result struct {
	Data  map[string]interface{} `json:"data"`
	Auth  *logical.Auth          `json:"auth"`
	Error string                 `json:"error"`
}

type report struct {
	Type            string   `json:"type"`
	Unauthenticated []string `json:"unauthenticated"`
	Results         []result `json:"results"`
}

func main() {
	spend := flag.Bool("spend", false, "use the token before the plugin does")
	ttl := flag.Duration("ttl", time.Minute, "of the token")
	flag.Parse()
	if err := run(flag.Args(), &server{ttl: *ttl, spend: *spend}); err != nil {
		log.Fatal(err)
	}
}

func run(command []string, sys *server) error {
	var requests []request
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		return err
	}
	content, err := os.ReadFile(command[0])
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	sys.runner = &pluginutil.PluginRunner{
		Name: pluginName, Type: consts.PluginTypeCredential, Command: command[0], Args: command[1:], Sha256: sum[:],
	}
	sys.DefaultLeaseTTLVal, sys.MaxLeaseTTLVal = time.Hour, 24*time.Hour
	config := &logical.BackendConfig{
		StorageView: &logical.InmemStorage{},
		Logger:      hclog.New(&hclog.LoggerOptions{JSONFormat: true, Output: os.Stderr, Level: hclog.Trace}),
		System:      sys,
		BackendUUID: "0c6a7ab0-2d3f-4f5e-9b7e-5a1f1c2d3e4f",
	}
	answer, err := probe(config, sys)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if answer.Results, err = serve(config, sys, requests); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// probe asks a process in metadata mode what the plugin is.
func probe(config *logical.BackendConfig, sys *server) (*report, error) {
	ctx := context.Background()
	backend, err := bplugin.NewBackend(ctx, pluginName, consts.PluginTypeCredential, sys, config, true)
	if err != nil {
		return nil, err
	}
	defer backend.Cleanup(ctx)
	if err := backend.Setup(ctx, config); err != nil {
		return nil, err
	}
	return &report{Type: backend.Type().String(), Unauthenticated: backend.SpecialPaths().Unauthenticated}, nil
}

// serve mounts a process that has unwrapped its certificate, and sends the requests to it.
func serve(config *logical.BackendConfig, sys *server, requests []request) ([]result, error) {
	ctx := context.Background()
	backend, err := bplugin.NewBackend(ctx, pluginName, consts.PluginTypeCredential, sys, config, false)
	if err != nil {
		return nil, err
	}
	defer backend.Cleanup(ctx)
	if err := backend.Setup(ctx, config); err != nil {
		return nil, err
	}
	if err := backend.Initialize(ctx, &logical.InitializationRequest{Storage: config.StorageView}); err != nil {
		return nil, err
	}
	results := make([]result, 0, len(requests))
	for _, each := range requests {
		results = append(results, send(ctx, backend, config.StorageView, each))
	}
	return results, nil
}

func send(ctx context.Context, backend logical.Backend, storage logical.Storage, sent request) result {
	response, err := backend.HandleRequest(ctx, &logical.Request{
		ID: "r", Operation: sent.Operation, Path: sent.Path, Data: sent.Data, Storage: storage,
		Unauthenticated: sent.Unauthenticated, Connection: &logical.Connection{RemoteAddr: "127.0.0.1"},
		MountPoint: "auth/old/", MountType: pluginName,
	})
	switch {
	case err != nil:
		return result{Error: err.Error()}
	case response == nil:
		return result{}
	case response.IsError():
		return result{Error: response.Error().Error()}
	}
	return result{Data: response.Data, Auth: response.Auth}
}

// Command database drives a database plugin with the test helpers of Vault's SDK, through the SDK's own client.
//
// database FILE CONFIG-JSON CREATION-STATEMENT [OTHER FILE'S PROTOCOL VERSION]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	log "github.com/hashicorp/go-hclog"
	plugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/vault/sdk/database/dbplugin/v5"
	dbtesting "github.com/hashicorp/vault/sdk/database/dbplugin/v5/testing"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// runner starts a file as a server would, without a catalog.
type runner struct {
	pluginutil.RunnerUtil
	file    string
	version int
	id      string
}

type client struct {
	plugin.ClientProtocol
	connection grpc.ClientConnInterface
	process    *plugin.Client
}

func (c *client) Conn() grpc.ClientConnInterface { return c.connection }
func (c *client) Reload() error                  { return errors.New("not here") }
func (c *client) Close() error {
	c.process.Kill()
	return nil
}

// identified adds to each call which instance it is for.
type identified struct {
	grpc.ClientConnInterface
	id string
}

func (c *identified) Invoke(ctx context.Context, method string, in, out any, options ...grpc.CallOption) error {
	ctx = metadata.AppendToOutgoingContext(ctx, pluginutil.MultiplexingCtxKey, c.id)
	return c.ClientConnInterface.Invoke(ctx, method, in, out, options...)
}

func (r *runner) NewPluginClient(_ context.Context, config pluginutil.PluginClientConfig) (pluginutil.PluginClient, error) {
	process := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  config.HandshakeConfig,
		VersionedPlugins: map[int]plugin.PluginSet{r.version: config.PluginSets[r.version]},
		Cmd:              exec.Command(r.file),
		AutoMTLS:         config.AutoMTLS,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           config.Logger,
	})
	protocol, err := process.Client()
	if err != nil {
		return nil, err
	}
	connection := grpc.ClientConnInterface(protocol.(*plugin.GRPCClient).Conn)
	if r.version == 6 {
		connection = &identified{connection, r.id}
	}
	return &client{protocol, connection, process}, nil
}

func open(t *testing.T, file string, version int) dbplugin.Database {
	config := pluginutil.PluginClientConfig{
		Name:            "under-test",
		PluginType:      consts.PluginTypeDatabase,
		PluginSets:      dbplugin.PluginSets,
		HandshakeConfig: dbplugin.HandshakeConfig,
		Logger:          log.New(&log.LoggerOptions{Level: log.Warn, Output: os.Stderr}),
		AutoMTLS:        true,
	}
	database, err := dbplugin.NewPluginClient(context.Background(), &runner{file: file, version: version, id: t.Name()}, config)
	if err != nil {
		t.Fatal(err)
	}
	return database
}

// session is the life of a connection and of a user, as the official plugins test it.
func session(t *testing.T, database dbplugin.Database, config map[string]any, creation string) {
	if kind, err := database.Type(); err != nil || kind == "" {
		t.Fatalf("type %q: %v", kind, err)
	}
	made := dbtesting.AssertInitialize(t, database, dbplugin.InitializeRequest{Config: config, VerifyConnection: true})
	for name, value := range config {
		if fmt.Sprint(made.Config[name]) != fmt.Sprint(value) {
			t.Errorf("%s was not echoed: %v", name, made.Config[name])
		}
	}
	user := dbtesting.AssertNewUser(t, database, dbplugin.NewUserRequest{
		UsernameConfig: dbplugin.UsernameMetadata{DisplayName: "token", RoleName: "app"},
		Statements:     dbplugin.Statements{Commands: []string{creation}},
		Password:       "a-new-passw0rd-0f-g0",
		Expiration:     time.Now().Add(time.Minute),
	})
	dbtesting.AssertUpdateUser(t, database, dbplugin.UpdateUserRequest{
		Username: user.Username,
		Password: &dbplugin.ChangePassword{NewPassword: "an0ther-passw0rd-0f-g0"},
	})
	dbtesting.AssertUpdateUser(t, database, dbplugin.UpdateUserRequest{
		Username:   user.Username,
		Expiration: &dbplugin.ChangeExpiration{NewExpiration: time.Now().Add(time.Hour)},
	})
	for range 2 {
		dbtesting.AssertDeleteUser(t, database, dbplugin.DeleteUserRequest{Username: user.Username})
	}
	dbtesting.AssertClose(t, database)
}

func main() {
	file, creation := os.Args[1], os.Args[3]
	config := map[string]any{}
	if err := json.Unmarshal([]byte(os.Args[2]), &config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Args = append(os.Args[:1], "-test.v")
	tests := []testing.InternalTest{}
	for _, version := range []int{5, 6} {
		tests = append(tests, testing.InternalTest{
			Name: fmt.Sprintf("Version%d", version),
			F:    func(t *testing.T) { session(t, open(t, file, version), config, creation) },
		})
	}
	testing.Main(func(string, string) (bool, error) { return true, nil }, tests, nil, nil)
}

package main

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

const forgetAfter = 15 * time.Minute

// backend lets members of a team log in with the PIN that the team shares.
type backend struct {
	*framework.Backend

	// stored is held while an object is read, changed and written.
	stored sync.RWMutex

	mutex     sync.Mutex
	wrongPINs map[string]int
	forgotten time.Time
}

func factory(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	b := &backend{wrongPINs: map[string]int{}, forgotten: time.Now()}
	b.Backend = &framework.Backend{
		Help:           "Log in as a member of a team, with the PIN that the team shares.",
		BackendType:    logical.TypeCredential,
		RunningVersion: "v0.1.0",
		AuthRenew:      b.renew,
		PeriodicFunc:   b.forget,
		PathsSpecial:   &logical.Paths{Unauthenticated: []string{"login"}},
		Paths:          []*framework.Path{b.pathConfig(), b.pathRole(), b.pathRoleList(), b.pathLogin()},
	}
	if err := b.Setup(ctx, config); err != nil {
		return nil, err
	}
	return b, nil
}

// forget lets everybody try again. The server calls it once a minute.
func (b *backend) forget(context.Context, *logical.Request) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if time.Since(b.forgotten) >= forgetAfter {
		clear(b.wrongPINs)
		b.forgotten = time.Now()
	}
	return nil
}

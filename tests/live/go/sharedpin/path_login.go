package main

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/cidrutil"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *backend) pathLogin() *framework.Path {
	return &framework.Path{
		Pattern: "login",
		Fields: map[string]*framework.FieldSchema{
			"role": {
				Type:        framework.TypeLowerCaseString,
				Description: "The team.",
			},
			"member": {
				Type:        framework.TypeLowerCaseString,
				Description: "The member who logs in.",
			},
			"pin": {
				Type:        framework.TypeString,
				Description: "The team's PIN.",
				DisplayAttrs: &framework.DisplayAttributes{
					Sensitive: true,
				},
			},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation:         &framework.PathOperation{Callback: b.login},
			logical.AliasLookaheadOperation: &framework.PathOperation{Callback: b.login},
			logical.ResolveRoleOperation:    &framework.PathOperation{Callback: b.resolveRole},
		},
		HelpSynopsis:    "Log in with the name of a member and the team's PIN.",
		HelpDescription: "The token has the policies and lifetimes of the team.",
	}
}

func (b *backend) login(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	for _, name := range []string{"role", "member", "pin"} {
		if data.Get(name).(string) == "" {
			return logical.ErrorResponse("missing %s", name), nil
		}
	}
	name, member, pin := data.Get("role").(string), data.Get("member").(string), data.Get("pin").(string)

	b.stored.RLock()
	defer b.stored.RUnlock()
	found, err := b.team(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return logical.ErrorResponse("role %q could not be found", name), nil
	}
	if len(found.TokenBoundCIDRs) > 0 {
		if req.Connection == nil {
			b.Logger().Warn("token bound CIDRs found but no connection information available for validation")
			return nil, logical.ErrPermissionDenied
		}
		if !cidrutil.RemoteAddrIsOk(req.Connection.RemoteAddr, found.TokenBoundCIDRs) {
			return nil, logical.ErrPermissionDenied
		}
	}
	limit, err := b.limit(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if err := b.check(name, found, limit, member, pin); err != nil {
		return nil, err
	}

	auth := &logical.Auth{
		DisplayName:  name + "/" + member,
		Alias:        &logical.Alias{Name: name + "/" + member},
		Metadata:     map[string]string{"team": name, "member": member},
		InternalData: map[string]any{"role": name, "member": member},
		LeaseOptions: logical.LeaseOptions{Renewable: true},
	}
	found.PopulateTokenAuth(auth)
	return &logical.Response{Auth: auth}, nil
}

// check refuses wrong PINs and members who have left, and counts them.
func (b *backend) check(name string, found *team, limit int, member, pin string) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.wrongPINs[name] >= limit {
		return logical.CodedError(http.StatusTooManyRequests, "too many wrong PINs, try again later")
	}
	if subtle.ConstantTimeCompare([]byte(pin), []byte(found.PIN)) != 1 || found.hasLeft(member) {
		b.wrongPINs[name]++
		return logical.ErrPermissionDenied
	}
	return nil
}

// renew renews the tokens of members who are still in the team, with the lifetimes that it has now.
func (b *backend) renew(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	name, isText := req.Auth.InternalData["role"].(string)
	member, isTextToo := req.Auth.InternalData["member"].(string)
	if !isText || !isTextToo {
		return nil, fmt.Errorf("the token does not say whose it is")
	}
	b.stored.RLock()
	defer b.stored.RUnlock()
	found, err := b.team(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return logical.ErrorResponse("role %s does not exist during renewal", name), nil
	}
	if found.hasLeft(member) {
		return nil, logical.ErrPermissionDenied
	}
	resp := &logical.Response{Auth: req.Auth}
	resp.Auth.TTL = found.TokenTTL
	resp.Auth.MaxTTL = found.TokenMaxTTL
	resp.Auth.Period = found.TokenPeriod
	return resp, nil
}

// resolveRole tells the server which role a login is for, so that it can apply quotas of roles.
func (b *backend) resolveRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	name := data.Get("role").(string)
	found, err := b.team(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return logical.ErrorResponse("role %q could not be found", name), nil
	}
	return logical.ResolveRoleResponse(name)
}

// limit returns how many wrong PINs a team may try.
func (b *backend) limit(ctx context.Context, storage logical.Storage) (int, error) {
	stored, err := b.config(ctx, storage)
	if err != nil {
		return 0, err
	}
	if stored == nil {
		return defaultWrongPINs, nil
	}
	return stored.WrongPINs, nil
}

func (t *team) hasLeft(member string) bool {
	return slices.ContainsFunc(t.Left, func(left string) bool { return strings.ToLower(left) == member })
}

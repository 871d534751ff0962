package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/tokenutil"
	"github.com/hashicorp/vault/sdk/logical"
)

const rolePrefix = "role/"

// team is a role: its PIN, and the tokens that its members get.
type team struct {
	tokenutil.TokenParams

	PIN  string   `json:"pin"`
	Left []string `json:"left"`
}

func (b *backend) pathRoleList() *framework.Path {
	return &framework.Path{
		Pattern: "role/?$",
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{Callback: b.listRoles},
		},
		HelpSynopsis:    "List the teams.",
		HelpDescription: "The names of all teams.",
	}
}

func (b *backend) pathRole() *framework.Path {
	path := &framework.Path{
		Pattern: "role/" + framework.GenericNameRegex("name"),
		Fields: map[string]*framework.FieldSchema{
			"name": {
				Type:        framework.TypeLowerCaseString,
				Description: "The name of the team.",
			},
			"pin": {
				Type:        framework.TypeString,
				Description: "The PIN. It is never shown again.",
				DisplayAttrs: &framework.DisplayAttributes{
					Sensitive: true,
				},
			},
			"left": {
				Type:        framework.TypeCommaStringSlice,
				Description: "Members who have left.",
			},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation:   &framework.PathOperation{Callback: b.readRole},
			logical.CreateOperation: &framework.PathOperation{Callback: b.writeRole},
			logical.UpdateOperation: &framework.PathOperation{Callback: b.writeRole},
			logical.DeleteOperation: &framework.PathOperation{Callback: b.deleteRole},
		},
		ExistenceCheck:  b.roleExists,
		HelpSynopsis:    "A team, its PIN, and the tokens that its members get.",
		HelpDescription: "A team needs a PIN. A write keeps what it does not name.",
	}
	tokenutil.AddTokenFields(path.Fields)
	return path
}

// team returns a stored team, nil when there is none of this name.
func (b *backend) team(ctx context.Context, storage logical.Storage, name string) (*team, error) {
	entry, err := storage.Get(ctx, rolePrefix+name)
	if err != nil || entry == nil {
		return nil, err
	}
	var stored team
	if err := entry.DecodeJSON(&stored); err != nil {
		return nil, err
	}
	return &stored, nil
}

func (b *backend) roleExists(ctx context.Context, req *logical.Request, data *framework.FieldData) (bool, error) {
	stored, err := b.team(ctx, req.Storage, data.Get("name").(string))
	return stored != nil, err
}

func (b *backend) listRoles(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	names, err := req.Storage.List(ctx, rolePrefix)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(names), nil
}

func (b *backend) readRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	b.stored.RLock()
	defer b.stored.RUnlock()
	stored, err := b.team(ctx, req.Storage, data.Get("name").(string))
	if err != nil || stored == nil {
		return nil, err
	}
	shown := map[string]any{"left": stored.Left}
	stored.PopulateTokenData(shown)
	return &logical.Response{Data: shown}, nil
}

func (b *backend) writeRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	b.stored.Lock()
	defer b.stored.Unlock()
	name := data.Get("name").(string)
	changed, err := b.team(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if changed == nil {
		changed = &team{Left: []string{}}
	}
	if err := changed.ParseTokenFields(req, data); err != nil {
		return logical.ErrorResponse(err.Error()), logical.ErrInvalidRequest
	}
	if pin, given := data.GetOk("pin"); given {
		changed.PIN = pin.(string)
	}
	if left, given := data.GetOk("left"); given {
		changed.Left = left.([]string)
	}
	if changed.PIN == "" {
		return logical.ErrorResponse("missing pin"), nil
	}
	entry, err := logical.StorageEntryJSON(rolePrefix+name, changed)
	if err != nil {
		return nil, err
	}
	return nil, req.Storage.Put(ctx, entry)
}

func (b *backend) deleteRole(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	b.stored.Lock()
	defer b.stored.Unlock()
	return nil, req.Storage.Delete(ctx, rolePrefix+data.Get("name").(string))
}

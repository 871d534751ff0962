package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

const (
	configKey        = "config"
	defaultWrongPINs = 100
)

// limits says how often wrong PINs may be tried.
type limits struct {
	WrongPINs int `json:"wrong_pins"`
}

func (b *backend) pathConfig() *framework.Path {
	return &framework.Path{
		Pattern: "config",
		Fields: map[string]*framework.FieldSchema{
			"wrong_pins": {
				Type:        framework.TypeInt,
				Default:     defaultWrongPINs,
				Description: "Wrong PINs that a team may try in a quarter of an hour.",
			},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation:   &framework.PathOperation{Callback: b.readConfig},
			logical.CreateOperation: &framework.PathOperation{Callback: b.writeConfig},
			logical.UpdateOperation: &framework.PathOperation{Callback: b.writeConfig},
			logical.DeleteOperation: &framework.PathOperation{Callback: b.deleteConfig},
		},
		ExistenceCheck:  b.configExists,
		HelpSynopsis:    "Limit how often wrong PINs may be tried.",
		HelpDescription: "Without a configuration a team may try a hundred wrong PINs in a quarter of an hour.",
	}
}

// config returns the stored limits, nil when there are none.
func (b *backend) config(ctx context.Context, storage logical.Storage) (*limits, error) {
	entry, err := storage.Get(ctx, configKey)
	if err != nil || entry == nil {
		return nil, err
	}
	var stored limits
	if err := entry.DecodeJSON(&stored); err != nil {
		return nil, err
	}
	return &stored, nil
}

func (b *backend) configExists(ctx context.Context, req *logical.Request, _ *framework.FieldData) (bool, error) {
	stored, err := b.config(ctx, req.Storage)
	return stored != nil, err
}

func (b *backend) readConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	b.stored.RLock()
	defer b.stored.RUnlock()
	stored, err := b.config(ctx, req.Storage)
	if err != nil || stored == nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{"wrong_pins": stored.WrongPINs}}, nil
}

func (b *backend) writeConfig(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	b.stored.Lock()
	defer b.stored.Unlock()
	stored, err := b.config(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		stored = &limits{WrongPINs: defaultWrongPINs}
	}
	if wrongPINs, given := data.GetOk("wrong_pins"); given {
		stored.WrongPINs = wrongPINs.(int)
	}
	entry, err := logical.StorageEntryJSON(configKey, stored)
	if err != nil {
		return nil, err
	}
	return nil, req.Storage.Put(ctx, entry)
}

func (b *backend) deleteConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	b.stored.Lock()
	defer b.stored.Unlock()
	return nil, req.Storage.Delete(ctx, configKey)
}

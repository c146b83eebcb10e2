package blobstore_test

import (
	"context"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore/blobstoretest"
)

// exampleConfig is what a user writes under the instance's config.
type exampleConfig struct {
	MaxBytes int64 `json:"max_bytes" doc:"Largest sum of all sizes; 0 means no bound."`
}

// newStore stands for the factory of a real store.
func newStore(_ context.Context, setup plugin.Setup) (blobstore.Store, error) {
	var c exampleConfig
	if err := setup.Decode(&c); err != nil {
		return nil, err
	}
	if c.MaxBytes < 0 {
		return nil, &plugin.ConfigError{Path: "/max_bytes", Summary: "cannot be negative"}
	}
	setup.Log.Info("store is open", "max_bytes", c.MaxBytes)
	return &blobstoretest.Memory{MaxBytes: c.MaxBytes}, nil
}

// The whole main function of a blob store plugin.
func Example() {
	plugin.Main("blobstore-memory", "1.0", blobstore.Kind(newStore).WithConfig(exampleConfig{}))
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/internal/strictjson"
	"github.com/syncbase/syncbase/sdk/client"
)

// schemaObject is a schema in files and for scripts.
type schemaObject struct {
	Version uint32       `json:"version"`
	Rules   []schemaRule `json:"rules"`
}

// schemaRule says who resolves the conflicts of some rows. What is empty is left out, as it was written.
type schemaRule struct {
	Collection string `json:"collection,omitempty"`
	Prefix     string `json:"prefix,omitempty"`
	Type       string `json:"type,omitempty"`
	Resolver   string `json:"resolver"`
}

func (a *app) schemaCommand() *cobra.Command {
	var file string
	set := command("set DB --file F", "Replace the schema by one with a higher version", `
syncbase schema set notes --file schema.json
echo '{"version":1,"rules":[{"collection":"todo","resolver":"last-wins"}]}' | syncbase schema set notes --file -`,
		cobra.ExactArgs(1), func(ctx context.Context, args []string) error { return a.schemaSet(ctx, args[0], file) })
	set.Long = `Replace the schema by one with a higher version. The file holds
{"version":N,"rules":[{"collection":C,"prefix":P,"type":T,"resolver":R}]}. C is a collection, may end in * and may be left out,
P is what keys begin with, T a type of values. Of the rules that fit a row the most specific counts, of equal ones the last.
R is last-wins, app, defer or plugin:NAME.`
	set.Flags().StringVar(&file, "file", "", "the schema; - is standard input")
	_ = set.MarkFlagRequired("file")
	return group("schema", "Say how conflicts are resolved",
		command("get DB", "Show the schema; exits with 3 if there is none", "syncbase schema get notes", cobra.ExactArgs(1), a.schemaGet),
		set,
	)
}

func (a *app) schemaGet(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		schema, err := c.Database(args[0]).Schema(ctx)
		if err != nil {
			return err
		}
		object := schemaObject{Version: schema.Version}
		if err := json.Unmarshal(schema.Policy, &object); err != nil {
			return fmt.Errorf("schema from the daemon: %w", err)
		}
		if object.Rules == nil {
			object.Rules = []schemaRule{}
		}
		return a.show(object, func(w io.Writer) {
			text, err := json.MarshalIndent(object, "", "  ")
			if err != nil {
				text = []byte(err.Error())
			}
			fmt.Fprintf(w, "%s\n", text)
		})
	})
}

func (a *app) schemaSet(ctx context.Context, db, file string) error {
	schema, err := a.readSchema(ctx, file)
	if err != nil {
		return err
	}
	return a.connect(ctx, func(c *client.Client) error {
		if err := c.Database(db).SetSchema(ctx, schema); err != nil {
			return err
		}
		return a.say(map[string]uint32{"version": schema.Version}, "set, version %d", schema.Version)
	})
}

func (a *app) readSchema(ctx context.Context, file string) (client.Schema, error) {
	data, err := a.fileOrInput(ctx, file)
	if err != nil {
		return client.Schema{}, err
	}
	var object schemaObject
	if err := strictjson.Decode(data, &object); err != nil {
		return client.Schema{}, fmt.Errorf(`schema from %s: %w; it looks like {"version":1,"rules":[]}`, inputName(file), err)
	}
	if object.Rules == nil {
		object.Rules = []schemaRule{}
	}
	policy, err := json.Marshal(struct {
		Rules []schemaRule `json:"rules"`
	}{object.Rules})
	return client.Schema{Version: object.Version, Policy: policy}, err
}

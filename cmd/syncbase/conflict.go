package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/internal/strictjson"
	"github.com/syncbase/syncbase/sdk/client"
)

// conflictObject is a row in conflict as scripts see it. What a version that deleted the row holds is null; bytes are an
// object with base64.
type conflictObject struct {
	Collection string            `json:"collection"`
	Key        string            `json:"key"`
	Local      json.RawMessage   `json:"local"`
	Remote     json.RawMessage   `json:"remote"`
	Ancestor   json.RawMessage   `json:"ancestor"`
	Others     []json.RawMessage `json:"others,omitempty"`
	Resolver   string            `json:"resolver"`
	Shown      string            `json:"shown"`
	Versions   []string          `json:"versions"`
}

func (a *app) conflictCommand() *cobra.Command {
	var pick string
	resolve := command("resolve DB COLLECTION KEY --pick local|remote|delete|VALUE", "Decide the conflict of a row", `
syncbase conflict resolve notes todo milk --pick local
syncbase conflict resolve notes todo milk --pick '{"done":true}'`,
		cobra.ExactArgs(3), func(ctx context.Context, args []string) error { return a.conflictResolve(ctx, args, pick) })
	resolve.Long = `Decide the conflict of a row, on every device that shares it. Pick local or remote, the versions that conflict list shows;
delete; or a VALUE to write, which is JSON; - reads standard input, @file a file. Of more versions than two conflict list says how many,
and has them with -o json (others). Exits with 3 if the row is not in
conflict.`
	resolve.Flags().StringVar(&pick, "pick", "", "local, remote, delete or a value")
	_ = resolve.MarkFlagRequired("pick")
	return group("conflict", "Show and decide conflicts that the last writer does not win",
		command("list DB", "List the rows in conflict", "syncbase conflict list notes", cobra.ExactArgs(1), a.conflictList),
		resolve,
	)
}

func (a *app) conflictList(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		names := a.namer(ctx, c)
		t := a.table("COLLECTION", "KEY", "LOCAL", "REMOTE", "ANCESTOR", "RESOLVER")
		for conflict, err := range c.Database(args[0]).Conflicts(ctx) {
			if err != nil {
				return err
			}
			err := t.row(conflictOf(&conflict, names), names.short(conflict.Collection), clip(oneLineText(conflict.Key), 40),
				versionText(&conflict.Local), remoteText(&conflict), versionText(conflict.Ancestor), conflict.Resolver)
			if err != nil {
				return err
			}
		}
		return t.end()
	})
}

func conflictOf(c *client.Conflict, names namer) conflictObject {
	o := conflictObject{
		Collection: names.short(c.Collection), Key: c.Key, Resolver: c.Resolver, Shown: c.Shown,
		Local: versionValue(&c.Local), Remote: versionValue(c.Remote), Ancestor: versionValue(c.Ancestor),
		Versions: []string{c.Local.Version},
	}
	if c.Remote != nil {
		o.Versions = append(o.Versions, c.Remote.Version)
	}
	for i := range c.Others {
		o.Others = append(o.Others, versionValue(&c.Others[i]))
		o.Versions = append(o.Versions, c.Others[i].Version)
	}
	return o
}

// versionValue is what a version holds as scripts see it: null when there is no such version, or when it deleted the row.
func versionValue(v *client.ConflictVersion) json.RawMessage {
	switch {
	case v == nil || v.Deleted:
		return json.RawMessage("null")
	case v.Value.Raw:
		data, err := json.Marshal(map[string][]byte{"base64": v.Value.Bytes})
		if err != nil {
			return json.RawMessage("null")
		}
		return data
	case len(v.Value.Bytes) == 0:
		return json.RawMessage("null") // left out because it is large
	}
	return v.Value.Bytes
}

// remoteText is the remote version, and how many others there are.
func remoteText(c *client.Conflict) string {
	text := versionText(c.Remote)
	if n := len(c.Others); n > 0 {
		text += fmt.Sprintf(" (+%d more)", n)
	}
	return text
}

func versionText(v *client.ConflictVersion) string {
	switch {
	case v == nil:
		return "-"
	case v.Deleted:
		return "(deleted)"
	}
	return clip(string(line(v.Value)), 40)
}

func (a *app) conflictResolve(ctx context.Context, args []string, pick string) error {
	conflict := client.Conflict{Collection: args[1], Key: args[2]}
	var r client.Resolution
	switch pick {
	case "local":
		r = conflict.TakeLocal()
	case "remote":
		r = conflict.TakeRemote()
	case "delete":
		r = conflict.Delete()
	default:
		data, err := a.argument(ctx, pick)
		if err != nil {
			return err
		}
		if err := strictjson.Syntax(data); err != nil {
			return usagef("--pick %q: want local, remote, delete or a value, which is JSON (a text stands in quotes: '\"milk\"') or @FILE: %w", clip(pick, 40), err)
		}
		r = conflict.Merge(client.Value{Bytes: bytes.TrimSpace(data)})
	}
	return a.connect(ctx, func(c *client.Client) error {
		versions, err := c.Database(args[0]).Resolve(ctx, r)
		if err != nil {
			return err
		}
		return a.say(map[string]string{"version": versions[0]}, "%s", versions[0])
	})
}

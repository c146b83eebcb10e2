package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/internal/strictjson"
	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) dbCommand() *cobra.Command {
	return group("db", "Create, list, set up and destroy databases",
		command("create DB", "Create a database", "syncbase db create notes", cobra.ExactArgs(1), a.dbCreate),
		command("list", "List the databases that you may see", "syncbase db list -o json", cobra.NoArgs, a.dbList),
		command("destroy DB", "Remove a database from this device", "syncbase db destroy notes", cobra.ExactArgs(1), a.dbDestroy),
		command("pause DB", "Neither send nor receive anything of a database, until it is resumed", "syncbase db pause notes",
			cobra.ExactArgs(1), a.dbPause(true, "paused")),
		command("resume DB", "End a pause", "syncbase db resume notes", cobra.ExactArgs(1), a.dbPause(false, "on")),
		a.settingsCommand(),
		a.permsCommand("perms DB", "Show or set who may do what with a database", `
syncbase db perms notes
syncbase db perms notes --set '{"Admin":{"in":["home.local/owner"]},"Read":{"in":["..."]}}'`, 1,
			func(c *client.Client, args []string) guarded { return c.Database(args[0]) }),
	)
}

// servicePerms is about the daemon as a whole.
func (a *app) servicePerms() *cobra.Command {
	cmd := a.permsCommand("perms", "Show or set who may do what with the daemon", `
syncbase perms
syncbase perms --set '{"Admin":{"in":["home.local/owner"]},"Write":{"in":["home.local/guest"]}}'`, 0,
		func(c *client.Client, _ []string) guarded { return c })
	cmd.Long = "Show or set who may do what with the daemon: Admin administers it, Read sees every database, Write creates databases.\n" +
		"The owner in person may do everything, whatever the list says.\n\n" + listHelp + "\n\n" + setHelp
	return cmd
}

func (a *app) dbCreate(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		name, err := c.Database(args[0]).Create(ctx, nil)
		if err != nil {
			return err
		}
		return a.say(map[string]string{"database": name}, "created %s", name)
	})
}

func (a *app) dbList(ctx context.Context, _ []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		names := a.namer(ctx, c)
		t := a.table()
		for name, err := range c.Databases(ctx) {
			if err != nil {
				return err
			}
			short := names.short(name)
			if err := t.row(map[string]string{"database": short, "name": name}, short); err != nil {
				return err
			}
		}
		return t.end()
	})
}

func (a *app) dbDestroy(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		db := c.Database(args[0])
		if err := db.DestroyExisting(ctx); err != nil {
			return err
		}
		name := a.namer(ctx, c).full(args[0])
		return a.say(map[string]string{"database": name}, "destroyed %s", name)
	})
}

func (a *app) collectionCommand() *cobra.Command {
	return group("collection", "Create, list and destroy collections",
		command("create DB COLLECTION", "Create a collection", "syncbase collection create notes todo", cobra.ExactArgs(2), a.collectionCreate),
		command("list DB", "List the collections of a database", "syncbase collection list notes", cobra.ExactArgs(1), a.collectionList),
		command("destroy DB COLLECTION", "Delete a collection with all its rows, on every device that shares it",
			"syncbase collection destroy notes todo", cobra.ExactArgs(2), a.collectionDestroy),
		a.permsCommand("perms DB COLLECTION", "Show or set who may do what with a collection", `
syncbase collection perms notes todo
syncbase collection perms notes todo --set '{"Admin":{"in":["home.local/owner"]},"Read":{"in":["..."]}}'`, 2,
			func(c *client.Client, args []string) guarded { return c.Database(args[0]).Collection(args[1]) }),
	)
}

func (a *app) collectionCreate(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		name, err := c.Database(args[0]).Collection(args[1]).Create(ctx, nil)
		if err != nil {
			return err
		}
		return a.say(map[string]string{"collection": name}, "created %s", name)
	})
}

func (a *app) collectionList(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		names := a.namer(ctx, c)
		t := a.table()
		for name, err := range c.Database(args[0]).Collections(ctx) {
			if err != nil {
				return err
			}
			short := names.short(name)
			if err := t.row(map[string]string{"collection": short, "name": name}, short); err != nil {
				return err
			}
		}
		return t.end()
	})
}

func (a *app) collectionDestroy(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		collection := c.Database(args[0]).Collection(args[1])
		if err := collection.DestroyExisting(ctx); err != nil {
			return err
		}
		name := a.namer(ctx, c).full(args[1])
		return a.say(map[string]string{"collection": name}, "destroyed %s", name)
	})
}

// guarded has an access list.
type guarded interface {
	Permissions(context.Context) (client.Permissions, string, error)
	SetPermissions(context.Context, client.Permissions, string) (string, error)
}

// listHelp says how access lists are written.
const listHelp = `A list says of each tag who has it: {"Admin":{"in":[PATTERN...],"not_in":[PATTERN...]},"Read":...}. A PATTERN is
  home.local/owner                  this principal, and all that extend it: home.local/owner/device/phone
  home.local/owner/device/phone/$   this principal alone
  ...                               everybody who proves to be somebody
Who matches not_in does not have the tag, whatever in says. Somebody has to have Admin. Tags are Admin, Read and Write, of a database
also Resolve, which lets others through to its collections; of a syncgroup Admin and Read.`

// setHelp says what --set takes.
const setHelp = `--set takes a list, or what this command prints with -o json, changed or not. That has a version; if the list has another one by
then, the exit code is 4.`

// permissionsObject is an access list as scripts see it.
type permissionsObject struct {
	Permissions client.Permissions `json:"permissions"`
	Version     string             `json:"version"`
}

// emptyVersion is what who gives a variable that is not set is told: any version would be replaced.
const emptyVersion = "--version takes the version that is to be replaced, not an empty text"

// permsCommand shows or sets the access list of what find gives.
func (a *app) permsCommand(use, short, example string, args int, find func(*client.Client, []string) guarded) *cobra.Command {
	var set, version string
	var cmd *cobra.Command
	cmd = command(use, short, example, cobra.ExactArgs(args), func(ctx context.Context, args []string) error {
		switch replaces := cmd.Flags().Changed("set"); {
		case cmd.Flags().Changed("version") && !replaces:
			return usagef("--version says what --set replaces; give both")
		case replaces && set == "":
			return usagef("--set takes an access list, not an empty text")
		case cmd.Flags().Changed("version") && version == "":
			return usagef(emptyVersion)
		}
		list, shown, err := a.readPermissions(ctx, set)
		if err != nil {
			return err
		}
		if version == "" {
			version = shown
		}
		if err := checkListVersion(version); err != nil {
			return err
		}
		return a.connect(ctx, func(c *client.Client) error {
			if list != nil {
				return a.setPermissions(ctx, find(c, args), list, version)
			}
			return a.showPermissions(ctx, find(c, args))
		})
	})
	cmd.Long = short + ".\n\n" + listHelp + "\n\n" + setHelp
	cmd.Flags().StringVar(&set, "set", "", "replace the access list with this JSON; - reads standard input, @file a file")
	cmd.Flags().StringVar(&version, "version", "", "with --set: only if the list still has this version")
	return cmd
}

// readPermissions reads an access list, or what -o json shows of one, which brings the version that it replaces. Without a
// text there is no list.
func (a *app) readPermissions(ctx context.Context, text string) (list client.Permissions, version string, err error) {
	if text == "" {
		return nil, "", nil
	}
	data, err := a.argument(ctx, text)
	if err != nil {
		return nil, "", err
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) == nil && members["permissions"] != nil {
		var shown permissionsObject
		err = strictjson.Decode(data, &shown)
		list, version = shown.Permissions, shown.Version
	} else {
		err = strictjson.Decode(data, &list)
	}
	if err != nil && text != "-" && !strings.ContainsAny(text, "@{[ \t\n") {
		return nil, "", usagef("--set %q is no access list; with a file write --set @%s", text, text)
	}
	if err != nil {
		return nil, "", usagef(`access list: %w; it looks like {"Read":{"in":["home.local/owner"]}}`, err)
	}
	if list == nil {
		return nil, "", usagef("access list: it is null; it has to name somebody with Admin")
	}
	return list, version, nil
}

// listVersion is how the version of an access list looks: a count for the daemon and for databases, that of a row for
// collections.
var listVersion = regexp.MustCompile(`^([0-9]+|[0-9a-f]{16}\.[0-9]+-[0-9]+)?$`)

func checkListVersion(text string) error {
	if !listVersion.MatchString(text) {
		return usagef("--version %q: that is no version; perms prints it with -o json", text)
	}
	return nil
}

func (a *app) setPermissions(ctx context.Context, of guarded, list client.Permissions, version string) error {
	version, err := of.SetPermissions(ctx, list, version)
	if err != nil {
		return err
	}
	return a.say(map[string]string{"version": version}, "set, version %s", version)
}

func (a *app) showPermissions(ctx context.Context, of guarded) error {
	list, version, err := of.Permissions(ctx)
	if err != nil {
		return err
	}
	return a.show(permissionsObject{list, version}, func(w io.Writer) {
		text, err := json.MarshalIndent(list, "", "  ")
		if err != nil {
			text = []byte(err.Error())
		}
		fmt.Fprintf(w, "%s\n", text)
	})
}

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// settingsObject is a database as scripts see it.
type settingsObject struct {
	Database string `json:"database"`
	client.Settings
	UsedBytes    uint64 `json:"used_bytes"`
	GarbageBytes uint64 `json:"garbage_bytes"`
}

// settingsCommand shows the settings of a database, or changes those whose flags are given.
func (a *app) settingsCommand() *cobra.Command {
	var durability string
	var quota uint64
	var cmd *cobra.Command
	cmd = command("settings DB", "Show or change what holds for a database on this device", `
syncbase db settings notes
syncbase db settings notes --durability async
syncbase db settings notes --quota 1000000000`, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		change := client.SettingsChange{Durability: client.Durability(durability)}
		if durability != "" && change.Durability != client.Sync && change.Durability != client.Async {
			return usagef("durability %q: want %s or %s", durability, client.Sync, client.Async)
		}
		if cmd.Flags().Changed("quota") {
			change.QuotaBytes = &quota
		}
		return a.connect(ctx, func(c *client.Client) error { return a.settings(ctx, c.Database(args[0]), change) })
	})
	cmd.Flags().StringVar(&durability, "durability", "", "sync: what is acknowledged survives power loss; async: a moment later, also the end of the daemon if it is killed")
	cmd.Flags().Uint64Var(&quota, "quota", 0, "bytes of keys and values in force, without history, that the database may hold (0 for no bound)")
	return cmd
}

// settings makes a change, if it is one, and shows what holds now.
func (a *app) settings(ctx context.Context, db *client.Database, change client.SettingsChange) error {
	if change != (client.SettingsChange{}) {
		if _, err := db.UpdateSettings(ctx, change); err != nil {
			return err
		}
	}
	info, err := db.Info(ctx)
	if err != nil {
		return err
	}
	return a.show(settingsObject{info.Name, info.Settings, info.UsedBytes, info.GarbageBytes}, func(w io.Writer) {
		quota := "none"
		if info.Settings.QuotaBytes > 0 {
			quota = fmt.Sprint(info.Settings.QuotaBytes)
		}
		fmt.Fprintf(w, "durability: %s\nquota: %s\nused: %d\nhistory: %d\nsync paused: %s\n",
			info.Settings.Durability, quota, info.UsedBytes, info.GarbageBytes, yesNo(info.Settings.SyncPaused))
	})
}

// dbPause pauses or resumes syncing; word says which to a person.
func (a *app) dbPause(paused bool, word string) action {
	return func(ctx context.Context, args []string) error {
		return a.connect(ctx, func(c *client.Client) error {
			settings, err := c.Database(args[0]).UpdateSettings(ctx, client.SettingsChange{SyncPaused: &paused})
			if err != nil {
				return err
			}
			object := struct {
				Database   string `json:"database"`
				SyncPaused bool   `json:"sync_paused"`
			}{a.namer(ctx, c).full(args[0]), settings.SyncPaused}
			return a.say(object, "syncing of %s is %s", object.Database, word)
		})
	}
}

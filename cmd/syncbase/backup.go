package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) backupCommand() *cobra.Command {
	cmd := command("backup DIR", "Copy the store into a directory while the daemon runs", "syncbase backup /mnt/backup/2026-11-22",
		cobra.ExactArgs(1), a.backup)
	cmd.Long = `Copy the store into a directory, absent or empty, of the daemon's machine, and verify the copy, while the daemon goes on working.
It holds every database and what is known of blobs; the blobs' bytes are where their plugin keeps them, and the keys in the
directory of the identity: copy both by yourself. 'syncbase restore' makes the store of a data directory of it.`
	return cmd
}

// copied is a backup, or what was restored from one, as scripts see it.
type copied struct {
	Directory string `json:"directory"`
	client.Backup
}

func (a *app) backup(ctx context.Context, args []string) error {
	dir, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	return a.connect(ctx, func(c *client.Client) error {
		done, err := c.Backup(ctx, dir)
		if err != nil {
			return err
		}
		return a.say(copied{dir, done}, "%s holds %d files, %d bytes", dir, done.Files, done.Bytes)
	})
}

func (a *app) restoreCommand() *cobra.Command {
	cmd := command("restore DIR", "Make the store of a data directory from a backup; without a daemon",
		"syncbase restore /mnt/backup/2026-11-22 --data /var/lib/syncbase", cobra.ExactArgs(1), a.restore)
	cmd.Long = `Make the store of the data directory, which must not have one yet, from a backup, which is verified first.
What the device wrote after the backup was taken comes back from those peers that have it.`
	return cmd
}

func (a *app) restore(ctx context.Context, args []string) error {
	backup, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	done, err := restoreStore(ctx, backup, dir)
	if err != nil {
		return err
	}
	return a.say(copied{dir, done}, "%s has its store again: %d files, %d bytes", dir, done.Files, done.Bytes)
}

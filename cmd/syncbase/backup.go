package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) backupCommand() *cobra.Command {
	var blobs, identity bool
	cmd := command("backup DIR", "Copy the store into a directory while the daemon runs", `
syncbase backup /mnt/backup/2026-11-22
syncbase backup /mnt/backup/2026-11-22 --identity`, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if args[0] == "" {
			return usagef("DIR is an empty text")
		}
		return a.backup(ctx, args[0], client.BackupOptions{WithoutBlobs: !blobs, WithIdentity: identity})
	})
	cmd.Long = `Copy the store into a directory, absent or empty and outside of the data directory, of the daemon's machine, and verify the copy, while the daemon goes on working.
It holds every database, and the bytes of the blobs that are here unless --blobs=false. With --identity it also holds the keys of
this device, and whoever has it can be this device. 'syncbase restore' makes a data directory of it.`
	cmd.Flags().BoolVar(&blobs, "blobs", true, "with the bytes of blobs")
	cmd.Flags().BoolVar(&identity, "identity", false, "with the identity, which holds private keys")
	return cmd
}

// copied is a backup, or what was restored from one, as scripts see it.
type copied struct {
	Directory string `json:"directory"`
	client.Backup
}

// restored is a copy that was brought back.
type restored struct {
	copied
	// Owners of databases; Identity is who the daemon will be, empty if it has none yet.
	Owners   []string `json:"owners"`
	Identity string   `json:"identity,omitempty"`
}

func (a *app) backup(ctx context.Context, dir string, opts client.BackupOptions) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	return a.connect(ctx, func(c *client.Client) error {
		done, err := c.Backup(ctx, dir, opts)
		if err != nil {
			return advise(ctx, err, "the daemon removes what it has written; %s without a manifest is no backup", dir)
		}
		return a.show(copied{dir, done}, func(w io.Writer) {
			fmt.Fprintf(w, "%s holds %d files, %d bytes\n", dir, done.Files, done.Bytes)
			if !opts.WithIdentity {
				fmt.Fprintln(w, "It does not hold the identity, without which a restored device may not read its own data: keep a copy of that directory, too.")
			}
		})
	})
}

func (a *app) restoreCommand() *cobra.Command {
	cmd := command("restore DIR", "Make the store of a data directory from a backup; without a daemon",
		"syncbase restore /mnt/backup/2026-11-22 --data /var/lib/syncbase", cobra.ExactArgs(1), a.restore)
	cmd.Long = `Make the store of the data directory, which must not have one yet, from a backup, which is verified first. The daemon gives
the bytes of blobs to the blob store when it starts. An identity in the backup is taken where there is none yet.
What the device wrote after the backup was taken comes back from those peers that have it.`
	return cmd
}

func (a *app) restore(ctx context.Context, args []string) error {
	if args[0] == "" { // it would be the working directory
		return usagef("DIR is an empty text")
	}
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
	return a.show(done, func(w io.Writer) {
		fmt.Fprintf(w, "%s has its store again: %d files, %d bytes\n", dir, done.Files, done.Bytes)
		if hint := done.hint(dir); hint != "" {
			fmt.Fprintln(w, hint)
		}
	})
}

// hint says who may read what was restored, where that is not who will be there.
func (r *restored) hint(dir string) string {
	if len(r.Owners) == 0 || slices.Contains(r.Owners, r.Identity) {
		return ""
	}
	who := "there is no identity yet, and a new one"
	if r.Identity != "" {
		who = "the identity there, " + r.Identity + ","
	}
	return fmt.Sprintf("The data belongs to %s; %s may not read it unless access lists say so. Put the device's former identity into %s before the daemon starts.",
		strings.Join(r.Owners, ", "), who, filepath.Join(dir, "identity"))
}

package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) peerDiscardCommand() *cobra.Command {
	cmd := command("discard DB ID|VERSION", "Give up a refused commit, for every member", `
syncbase peer discard notes 3
syncbase peer discard notes 3775143cc6015c26.1-42`, cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		which, err := parseRefused(args[1])
		if err != nil {
			return usagef("%q: want an ID or WRITER that 'syncbase peer refused %s' lists", args[1], args[0])
		}
		return a.connect(ctx, func(c *client.Client) error {
			r, err := c.Database(args[0]).DiscardRefused(ctx, which)
			if err != nil {
				return err
			}
			return a.say(r, "%s given up, %s written", count(r.Records, "record"), count(r.Written, "row"))
		})
	})
	cmd.Long = `Give up a commit that 'syncbase peer refused' lists, by its id or by its writer and generation. That is a write, which wins over
the commit at every member: what this daemon refuses leaves its rows as they are here. What another device refuses, and this
daemon has taken, leaves them as they were before the commit, unless they were written since. Whatever the commit said is lost
but for the history; 'syncbase peer retry' takes it instead. A commit that only settles a conflict writes no row, and is given up
on this device alone.`
	return cmd
}

// parseRefused reads what names a refused commit: its id, or the version of its first record.
func parseRefused(text string) (client.RefusedCommit, error) {
	writer, generation, isVersion := strings.Cut(text, "-")
	if !isVersion {
		writer, generation = "", text
	}
	n, err := strconv.ParseUint(generation, 10, 64)
	if err == nil && (n == 0 || isVersion && writer == "") {
		err = strconv.ErrRange
	}
	if isVersion {
		return client.RefusedCommit{Writer: writer, Generation: n}, err
	}
	return client.RefusedCommit{ID: n}, err
}

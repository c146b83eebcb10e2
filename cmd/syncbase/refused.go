package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) peerRefusedCommand() *cobra.Command {
	cmd := command("refused [DB]", "List what came from peers and is refused", `
syncbase peer refused
syncbase peer refused notes -o json`, cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		return a.connect(ctx, func(c *client.Client) error {
			database := ""
			if len(args) > 0 {
				database = args[0]
			}
			names := a.namer(ctx, c)
			t := a.table("DATABASE", "ID", "REFUSED BY", "FROM", "WRITER", "RECORDS", "BYTES", "COLLECTIONS", "KEYS", "SINCE", "TRIES", "REASON")
			for r, err := range c.Refused(ctx, database) {
				if err != nil {
					return err
				}
				if err := refusedRow(t, names, r); err != nil {
					return err
				}
			}
			return t.end()
		})
	})
	cmd.Long = `List the commits that came from a peer and that a rule of a device keeps it from taking: a quota, say. Such a commit is set
aside whole; everything else goes on, and other members get it all the same. First come those that this daemon refuses,
which have an id, then what other members have said they refuse.`
	return cmd
}

func refusedRow(t *table, names namer, r client.RefusedCommit) error {
	number, by := dash(""), r.RefusedBy
	if by == "" {
		number, by = strconv.FormatUint(r.ID, 10), "this device"
	}
	var collections []string
	for _, c := range r.Collections {
		collections = append(collections, names.short(c))
	}
	return t.row(r, names.short(r.Database), number, by, dash(r.From), fmt.Sprintf("%s-%d", r.Writer, r.Generation), r.Records, r.Bytes,
		clip(oneLineText(strings.Join(collections, " ")), 40), clip(oneLineText(strings.Join(r.Keys, " ")), 40), ago(r.Since), r.Tries, oneLineText(r.Code+": "+r.Reason))
}

func (a *app) peerRetryCommand() *cobra.Command {
	cmd := command("retry DB [ID]...", "Try again what this daemon refused", `
syncbase peer retry notes
syncbase peer retry notes 3 4`, cobra.MinimumNArgs(1), func(ctx context.Context, args []string) error {
		ids := make([]uint64, 0, len(args)-1)
		for _, text := range args[1:] {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil || n == 0 {
				return usagef("id %q: want one that 'syncbase peer refused %s' lists", text, args[0])
			}
			ids = append(ids, n)
		}
		return a.connect(ctx, func(c *client.Client) error {
			r, err := c.Database(args[0]).RetryRefused(ctx, ids...)
			if err != nil {
				return err
			}
			if err := a.say(r, "%s taken, %d refused again", count(r.Applied, "commit"), r.Left); err != nil {
				return err
			}
			if r.Left > 0 {
				return fmt.Errorf("%s refused again; 'syncbase peer refused %s' has the reasons", count(r.Left, "commit"), args[0])
			}
			return nil
		})
	})
	cmd.Long = `Try again what this daemon refused of a database: the commits with these ids, or all. That also happens by itself, after a
minute at first and at least once an hour. Exits with 1 if something is refused again.`
	return cmd
}

// refusedCounts says where something is refused; mostly it is not.
func (a *app) refusedCounts(names namer, list []client.RefusedCount) error {
	if len(list) == 0 {
		return nil
	}
	return a.section("refused commits", len(list), []string{"DATABASE", "HERE", "ELSEWHERE"}, func(t *table) error {
		return each(list, t, func(t *table, n client.RefusedCount) error {
			return t.row(n, names.short(n.Database), n.Here, n.Elsewhere)
		})
	})
}

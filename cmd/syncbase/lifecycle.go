package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// onSyncgroup makes a command that does something to a syncgroup and says so.
func (a *app) onSyncgroup(use, short, example, done string, do func(ctx context.Context, sg *client.Syncgroup) error) *cobra.Command {
	return command(use, short, example, cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		return a.connect(ctx, func(c *client.Client) error {
			sg := c.Database(args[0]).Syncgroup(args[1])
			if err := do(ctx, sg); err != nil {
				return err
			}
			name := a.namer(ctx, c).full(sg.Name())
			return a.say(map[string]string{"syncgroup": name}, done+" %s", sg.Name())
		})
	})
}

func (a *app) syncgroupLeaveCommand() *cobra.Command {
	cmd := a.onSyncgroup("leave DB SG", "End the membership of this device", "syncbase syncgroup leave notes family", "left",
		func(ctx context.Context, sg *client.Syncgroup) error { return sg.Leave(ctx) })
	cmd.Long = `End the membership of this device. Syncing stops at once; the data stays, read-only where no other syncgroup shares it.
This device can join again, and then goes on where it stopped. The last member with Admin cannot leave (exit code 1): it gives
Admin to another member first, with "syncbase syncgroup spec --set", or ends the syncgroup with "syncbase syncgroup destroy".`
	return cmd
}

func (a *app) syncgroupDestroyCommand() *cobra.Command {
	cmd := a.onSyncgroup("destroy DB SG", "End a syncgroup for every member", "syncbase syncgroup destroy notes family", "destroyed",
		func(ctx context.Context, sg *client.Syncgroup) error { return sg.Destroy(ctx) })
	cmd.Long = `End a syncgroup for every member. Each stops as soon as it hears of it; the data stays everywhere, read-only where no other
syncgroup shares it. A new syncgroup may have the name again, and begins without members.`
	return cmd
}

func (a *app) syncgroupDeclineCommand() *cobra.Command {
	cmd := a.onSyncgroup("decline DB SG", "Decline an invitation, so that it is not listed again", "syncbase syncgroup decline notes family", "declined",
		func(ctx context.Context, sg *client.Syncgroup) error { return sg.Decline(ctx) })
	cmd.Long = `Decline an invitation, so that it is not listed again. Exits with 3 if no peer that is connected invites this device to such
a syncgroup.`
	return cmd
}

// onMember makes a command about a member of a syncgroup.
func (a *app) onMember(use, short, example, done string, do func(ctx context.Context, sg *client.Syncgroup, member string) (string, error)) *cobra.Command {
	return command(use, short, example, cobra.ExactArgs(3), func(ctx context.Context, args []string) error {
		return a.connect(ctx, func(c *client.Client) error {
			member, err := do(ctx, c.Database(args[0]).Syncgroup(args[1]), args[2])
			if err != nil {
				return err
			}
			return a.say(map[string]string{"member": member}, done+" %s", member)
		})
	})
}

func (a *app) syncgroupEjectCommand() *cobra.Command {
	cmd := a.onMember("eject DB SG MEMBER", "End the membership of another device", "syncbase syncgroup eject notes family phone", "ejected",
		func(ctx context.Context, sg *client.Syncgroup, member string) (string, error) {
			return sg.Eject(ctx, member)
		})
	cmd.Long = `End the membership of another device, given by its principal or the last part of that. Nobody exchanges anything with it
any more; it keeps its data, read-only, and cannot join again until "syncbase syncgroup allow".`
	return cmd
}

func (a *app) syncgroupAllowCommand() *cobra.Command {
	return a.onMember("allow DB SG MEMBER", "Let a device that was ejected join again", "syncbase syncgroup allow notes family phone", "allowed",
		func(ctx context.Context, sg *client.Syncgroup, member string) (string, error) {
			return sg.Allow(ctx, member)
		})
}

func (a *app) syncgroupInvitationsCommand() *cobra.Command {
	var declined bool
	cmd := command("invitations [DB]", "List the syncgroups that reachable peers would admit this device to", `
syncbase syncgroup invitations
syncbase syncgroup invitations notes -o json`, cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		opts := client.InvitationOptions{Declined: declined}
		if len(args) > 0 {
			opts.Database = args[0]
		}
		return a.connect(ctx, func(c *client.Client) error {
			names := a.namer(ctx, c)
			t := a.table("DATABASE", "SYNCGROUP", "CREATOR", "PEERS", "DECLINED", "DESCRIPTION")
			for i, err := range c.Invitations(ctx, opts) {
				if err != nil {
					return err
				}
				if err := t.row(i, names.short(i.Database), names.short(i.Syncgroup), i.Creator, strings.Join(i.Peers, " "), yesNo(i.Declined), i.Description); err != nil {
					return err
				}
			}
			return t.end()
		})
	})
	cmd.Long = `List the syncgroups that reachable peers would admit this device to, and that it is not in. "syncbase syncgroup join" accepts
an invitation, "syncbase syncgroup decline" keeps it out of the list.`
	cmd.Flags().BoolVar(&declined, "declined", false, "list also those that were declined")
	return cmd
}

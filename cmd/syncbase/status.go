package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) statusCommand() *cobra.Command {
	return command("status", "Show the daemon, its plugins, peers and syncgroups", "syncbase status\nsyncbase status -o json | jq .peer_address",
		cobra.NoArgs, func(ctx context.Context, _ []string) error {
			return a.connect(ctx, func(c *client.Client) error {
				s, err := c.Status(ctx)
				if err != nil {
					return err
				}
				if a.json() {
					return encoder(a.out).Encode(statusOf(s))
				}
				return a.describe(&s)
			})
		})
}

// statusObject is the status as scripts see it.
type statusObject struct {
	client.Status
	Peers []peerObject `json:"peers"`
}

func statusOf(s client.Status) statusObject {
	o := statusObject{Status: s, Peers: []peerObject{}}
	for i := range s.Peers {
		o.Peers = append(o.Peers, peerObjectOf(s.Peers[i]))
	}
	return o
}

// peerObject is a peer as scripts see it: with the time of the last contact also when there was none.
type peerObject struct {
	client.Peer
	LastContact *time.Time `json:"last_contact"`
}

func peerObjectOf(p client.Peer) peerObject {
	o := peerObject{Peer: p}
	if !p.LastContact.IsZero() {
		o.LastContact = &p.LastContact
	}
	return o
}

func (a *app) describe(s *client.Status) error {
	t := a.table()
	for _, pair := range [][2]string{
		{"name", s.Name}, {"principal", s.Principal}, {"device", s.Device}, {"version", s.Version},
		{"data", s.DataDir}, {"store", storeSpace(s.Store)}, {"peer address", dash(s.PeerAddress)}, {"http", dash(strings.Join(s.HTTPAddresses, " "))},
	} {
		if err := t.row(nil, pair[0], pair[1]); err != nil {
			return err
		}
	}
	if k := s.DevelopmentClock; k != nil {
		text := fmt.Sprintf("IN DEVELOPMENT, %s: rows are stamped by it; never with real data", shifted(k.Shift))
		if err := t.row(nil, "clock", text); err != nil {
			return err
		}
	}
	for _, k := range s.Clocks {
		if k.SkewSeconds == 0 {
			continue
		}
		text := fmt.Sprintf("%+.1f s corrected, as of a time server", k.SkewSeconds)
		if k.Database != "" {
			text += ", in " + k.Database
		}
		if err := t.row(nil, "clock", text); err != nil {
			return err
		}
	}
	owner, _, _ := strings.Cut(s.Principal, "/device/")
	names := namer{owner: owner}
	for _, alarm := range s.Alarms {
		if err := t.row(nil, "alarm", oneLineText(alarm.Text)); err != nil {
			return err
		}
	}
	for _, x := range s.Sweeping {
		if err := t.row(nil, "sweeping", names.short(x.Database)+" "+names.short(x.Collection)+", which was destroyed"); err != nil {
			return err
		}
	}
	for _, d := range s.Databases {
		if !d.SyncPaused {
			continue
		}
		if err := t.row(nil, "paused", names.short(d.Database)+" neither sends nor receives, until 'syncbase db resume'"); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	if err := a.section("plugins", len(s.Plugins), pluginColumns, func(t *table) error { return each(s.Plugins, t, pluginRow) }); err != nil {
		return err
	}
	if err := a.section("peers", len(s.Peers), peerColumns, func(t *table) error { return each(s.Peers, t, peerRow) }); err != nil {
		return err
	}
	if err := a.spaces(names, s.Databases); err != nil {
		return err
	}
	if err := a.conflictCounts(names, s.Conflicts); err != nil {
		return err
	}
	if err := a.refusedCounts(names, s.Refused); err != nil {
		return err
	}
	columns := []string{"DATABASE", "SYNCGROUP", "STATE", "MEMBERS", "CONNECTED", "LAG"}
	return a.section("syncgroups", len(s.Syncgroups), columns, func(t *table) error {
		return each(s.Syncgroups, t, func(t *table, g client.SyncgroupState) error {
			return t.row(g, names.short(g.Database), names.short(g.Name), g.State, g.Members, g.Connected, g.LagRecords)
		})
	})
}

// conflictCounts says where conflicts wait; mostly there are none.
func (a *app) conflictCounts(names namer, list []client.ConflictCount) error {
	if len(list) == 0 {
		return nil
	}
	return a.section("conflicts", len(list), []string{"DATABASE", "OPEN", "OVERFLOW"}, func(t *table) error {
		return each(list, t, func(t *table, n client.ConflictCount) error {
			return t.row(n, names.short(n.Database), n.Open, n.Overflow)
		})
	})
}

func (a *app) section(title string, n int, columns []string, rows func(*table) error) error {
	if n == 0 {
		_, err := fmt.Fprintf(a.out, "\n%s: none\n", title)
		return err
	}
	if _, err := fmt.Fprintf(a.out, "\n%s:\n", title); err != nil {
		return err
	}
	t := a.table(columns...)
	t.narrow = true
	if err := rows(t); err != nil {
		return err
	}
	return t.end()
}

func each[T any](list []T, t *table, row func(*table, T) error) error {
	for _, item := range list {
		if err := row(t, item); err != nil {
			return err
		}
	}
	return nil
}

var pluginColumns = []string{"PLUGIN", "KIND", "STATE", "PID", "RESTARTS", "VERSION", "MESSAGE"}

func pluginRow(t *table, p client.Plugin) error {
	return t.row(p, p.Name, p.Kind, p.State, p.PID, p.Restarts, p.Version, clip(oneLineText(p.Message), 80))
}

var peerColumns = []string{"PEER", "ADDRESS", "VIA", "CONNECTED", "LAST CONTACT", "LAG", "TO SEND", "ERROR"}

func peerRow(t *table, p client.Peer) error {
	return t.row(peerObjectOf(p), dash(p.Name), dash(p.Address), p.Via, yesNo(p.Connected), ago(p.LastContact), p.LagRecords, p.ToSendRecords, oneLineText(p.Error))
}

func (a *app) peerCommand() *cobra.Command {
	return group("peer", "Show the daemons that this one knows",
		command("list", "List the known peers", "syncbase peer list -o json", cobra.NoArgs, func(ctx context.Context, _ []string) error {
			return a.connect(ctx, func(c *client.Client) error {
				t := a.table(peerColumns...)
				for p, err := range c.Peers(ctx) {
					if err != nil {
						return err
					}
					if err := peerRow(t, p); err != nil {
						return err
					}
				}
				return t.end()
			})
		}),
		a.peerRefusedCommand(), a.peerRetryCommand(), a.peerDiscardCommand())
}

func (a *app) versionCommand() *cobra.Command {
	return command("version", "Print the version of this program", "syncbase version", cobra.NoArgs, func(context.Context, []string) error {
		return a.show(map[string]string{"version": version()}, func(w io.Writer) { fmt.Fprintln(w, "syncbase", version()) })
	})
}

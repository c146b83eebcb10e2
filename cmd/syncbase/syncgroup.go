package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/internal/strictjson"
	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) syncgroupCommand() *cobra.Command {
	return group("syncgroup", "Share collections with other devices",
		a.syncgroupCreateCommand(), a.syncgroupJoinCommand(),
		command("list DB", "List the syncgroups that this device is, or was, a member of", "syncbase syncgroup list notes", cobra.ExactArgs(1), a.syncgroupList),
		command("members DB SG", "List the members of a syncgroup", "syncbase syncgroup members notes family -o json", cobra.ExactArgs(2), a.syncgroupMembers),
		a.syncgroupSpecCommand(), a.syncgroupWaitCommand(),
		a.syncgroupLeaveCommand(), a.syncgroupDestroyCommand(), a.syncgroupEjectCommand(), a.syncgroupAllowCommand(),
		a.syncgroupInvitationsCommand(), a.syncgroupDeclineCommand(),
	)
}

// specFile is a specification as create reads it.
type specFile struct {
	Description string             `json:"description"`
	Permissions client.Permissions `json:"permissions"`
	Publish     string             `json:"publish"`
	Private     bool               `json:"private"`
	Collections []scopeFile        `json:"collections"`
}

// scopeFile is a collection in a file, or the keys of it with a prefix.
type scopeFile struct {
	Collection string `json:"collection"`
	Prefix     string `json:"prefix"`
}

func (a *app) syncgroupCreateCommand() *cobra.Command {
	var collections []string
	var file, memberType string
	var priority uint32
	cmd := command("create DB SG --collection C[:PREFIX]...", "Create a syncgroup over collections, with this device as its first member", `
syncbase syncgroup create notes family --collection todo
syncbase syncgroup create notes work --collection todo:work/ --member-type server
syncbase syncgroup create notes family --spec family.json`, cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		if err := checkMemberType(memberType); err != nil {
			return err
		}
		opts := client.SyncgroupOptions{MemberType: memberType, Priority: priority}
		if err := a.readSpec(ctx, file, &opts); err != nil {
			return err
		}
		for _, text := range collections {
			scope := parseScope(text)
			if err := checkName("--collection", scope.Collection); err != nil {
				return usage{err}
			}
			opts.Scopes = append(opts.Scopes, scope)
		}
		if len(opts.Scopes) == 0 {
			return usagef("say with --collection what the syncgroup shares")
		}
		return a.connect(ctx, func(c *client.Client) error {
			name, err := c.Database(args[0]).Syncgroup(args[1]).Create(ctx, opts)
			if err != nil {
				return err
			}
			return a.say(map[string]string{"syncgroup": name}, "created %s", name)
		})
	})
	cmd.Long = `Create a syncgroup over collections, with this device as its first member.

The file of --spec is JSON: {"description": D, "permissions": {"Admin": {"in": [...]}, "Read": {"in": [...]}},
"collections": [{"collection": C, "prefix": P}], "publish": PEER, "private": true}, each part optional. PEER (a principal, a
name or host:port) is made a member as soon as it can be reached; it has to be on the access list, and to allow it.`
	cmd.Flags().StringArrayVarP(&collections, "collection", "c", nil, "collection to share, narrowed to keys with a prefix by C:PREFIX; may be repeated")
	cmd.Flags().StringVar(&file, "spec", "", "file with more of the specification, - for standard input, or the JSON object itself")
	cmd.Flags().Uint32Var(&priority, "priority", 0, "number that is shown with this device in the list of members; nothing depends on it yet")
	memberTypeFlag(cmd, &memberType)
	return cmd
}

func memberTypeFlag(cmd *cobra.Command, memberType *string) {
	cmd.Flags().StringVar(memberType, "member-type", "", "normal, server (fetches and keeps blobs by itself) or leaf (shown as that, otherwise like normal) (default normal; a member that joins again stays what it is)")
	_ = cmd.RegisterFlagCompletionFunc("member-type", cobra.FixedCompletions(memberTypes, cobra.ShellCompDirectiveNoFileComp))
}

var memberTypes = []string{"normal", "server", "leaf"}

func checkMemberType(text string) error {
	if text == "" {
		return nil
	}
	return oneOf("member-type", text, memberTypes...)
}

func (a *app) readSpec(ctx context.Context, file string, opts *client.SyncgroupOptions) error {
	if file == "" {
		return nil
	}
	data, err := a.fileInputOrJSON(ctx, file)
	if err != nil {
		return err
	}
	var spec specFile
	if err := strictjson.Decode(data, &spec); err != nil {
		return fmt.Errorf("%s: %w", inputName(file), err)
	}
	opts.Description, opts.Permissions = spec.Description, spec.Permissions
	opts.Publish, opts.Private = spec.Publish, spec.Private
	for _, c := range spec.Collections {
		opts.Scopes = append(opts.Scopes, client.Scope{Collection: c.Collection, Prefix: c.Prefix})
	}
	return nil
}

// parseScope reads C[:PREFIX], where C may itself be owner:name. An owner has a path, a collection of one's own that is
// named with a slash has to be written :name.
func parseScope(text string) client.Scope {
	first, rest, found := strings.Cut(text, ":")
	if !found {
		return client.Scope{Collection: text}
	}
	if first != "" && !strings.Contains(first, "/") {
		return client.Scope{Collection: first, Prefix: rest}
	}
	local, prefix, _ := strings.Cut(rest, ":")
	return client.Scope{Collection: first + ":" + local, Prefix: prefix}
}

func (a *app) syncgroupJoinCommand() *cobra.Command {
	var opts client.JoinOptions
	cmd := command("join DB SG", "Make this device a member of a syncgroup", `
syncbase syncgroup join notes family
syncbase syncgroup join notes family --peer 192.168.1.7:4001 --member-type server`, cobra.ExactArgs(2),
		func(ctx context.Context, args []string) error {
			if err := checkMemberType(opts.MemberType); err != nil {
				return err
			}
			return a.connect(ctx, func(c *client.Client) error {
				if opts.Peer == "" && isTerminal(a.err) {
					fmt.Fprintln(a.err, "asking every peer that can be reached, which takes up to 30 s ...")
				}
				joined := memberOf(ctx, c.Database(args[0]))
				name, by, err := c.Database(args[0]).Syncgroup(args[1]).Join(ctx, opts)
				if err != nil {
					return err
				}
				value := map[string]any{"syncgroup": name, "admitted_by": by, "already": joined[name]}
				if joined[name] && opts.Peer != "" {
					return a.say(value, "this device was a member of %s already, and was admitted by %s, too", name, by)
				}
				if joined[name] {
					return a.say(value, "this device was a member of %s already", name)
				}
				return a.say(value, "joined %s, admitted by %s", name, by)
			})
		})
	cmd.Long = `Make this device a member of a syncgroup. The database is created if it is not there yet. Without --peer every peer that
is known or discovered is asked: the exit code is 3 when none of them has the syncgroup or would tell of it, 1 when one says
that it does not let this device in.`
	cmd.Flags().StringVar(&opts.Peer, "peer", "", "host:port or name of the peer to ask")
	cmd.Flags().StringVar(&opts.Expect, "expect", "", "principal that the peer must be or belong to; nobody else is asked")
	memberTypeFlag(cmd, &opts.MemberType)
	return cmd
}

// memberOf returns the syncgroups of the database that this device is a member of; none where the database is not there.
func memberOf(ctx context.Context, db *client.Database) map[string]bool {
	joined := map[string]bool{}
	for g, err := range db.SyncgroupStandings(ctx) {
		if err == nil && g.State == "member" {
			joined[g.Name] = true
		}
	}
	return joined
}

func (a *app) syncgroupList(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		names := a.namer(ctx, c)
		t := a.table()
		for g, err := range c.Database(args[0]).SyncgroupStandings(ctx) {
			if err != nil {
				return err
			}
			short := names.short(g.Name)
			object := map[string]string{
				"syncgroup": short, "name": g.Name, "state": g.State, "publish": g.Publish, "publish_error": g.PublishError, "reason": g.Reason,
			}
			if err := t.row(object, append([]any{short}, notable(g)...)...); err != nil {
				return err
			}
		}
		return t.end()
	})
}

// notable is what people have to know of a syncgroup: nothing of one in which this device is a member.
func notable(g client.SyncgroupStanding) (cells []any) {
	if g.State != "member" || g.Publish == "pending" {
		cells = append(cells, g.State)
	}
	if g.Reason != "" && g.Reason != g.State {
		cells = append(cells, oneLineText(g.Reason))
	}
	if g.Publish == "pending" {
		cells = append(cells, strings.TrimSuffix("publishing is pending: "+g.PublishError, ": "))
	}
	return cells
}

func (a *app) syncgroupMembers(ctx context.Context, args []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		t := a.table("MEMBER", "TYPE", "JOINED", "PRIORITY")
		for m, err := range c.Database(args[0]).Syncgroup(args[1]).Members(ctx) {
			if err != nil {
				return err
			}
			if err := t.row(m, m.Member, m.Type, ago(m.Joined), m.Priority); err != nil {
				return err
			}
		}
		return t.end()
	})
}

func (a *app) syncgroupWaitCommand() *cobra.Command {
	var timeout time.Duration
	cmd := command("wait DB SG", "Wait until this device holds all that its reachable peers hold", `
syncbase syncgroup wait notes family --timeout 30s`, cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		if timeout < 0 {
			return usagef("--timeout %v: want a time from now on, or 0 for no end", timeout)
		}
		return a.connect(ctx, func(c *client.Client) error {
			return a.syncgroupWait(ctx, c, c.Database(args[0]).Syncgroup(args[1]), timeout)
		})
	})
	cmd.Long = `Wait until this device holds all that its reachable peers hold. When the time is up before that, the message says what
is missing: nobody can be reached, or how many records of whom are still to come.`
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after so long (0 for never)")
	return cmd
}

// reasonTime is how long it may take to find out why a wait came to nothing.
const reasonTime = 5 * time.Second

func (a *app) syncgroupWait(ctx context.Context, c *client.Client, sg *client.Syncgroup, timeout time.Duration) error {
	waiting, cancel := ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		waiting, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	begun := time.Now()
	peers, err := sg.Wait(waiting)
	if err == nil {
		return a.sayLevel(ctx, c, sg, peers)
	}
	// The daemon, which knows of the deadline, may be the first to say that the time is up.
	late := waiting.Err() != nil || errors.Is(err, context.DeadlineExceeded)
	if !late || ctx.Err() != nil {
		return err
	}
	asking, stop := context.WithTimeout(ctx, reasonTime)
	defer stop()
	return fmt.Errorf("not level with the peers after %s: %s", timeout, whyNotLevel(asking, c, sg, begun))
}

// sayLevel says that a wait is over, when a comparison last showed that all who can be reached hold the same, and what
// somebody has to see to. Who may not ask for the status hears that it is over.
func (a *app) sayLevel(ctx context.Context, c *client.Client, sg *client.Syncgroup, peers uint64) error {
	done := struct {
		Peers    uint64         `json:"peers"`
		Verified time.Time      `json:"verified,omitzero"`
		Alarms   []client.Alarm `json:"alarms,omitempty"`
	}{Peers: peers}
	text := "level with " + count(peers, "peer")
	if status, members, err := ofSyncgroup(ctx, c, sg); err == nil {
		done.Alarms = status.Alarms
		var compared bool
		if done.Verified, compared = verified(status, members); compared && !done.Verified.IsZero() {
			text += ", compared with all of them on " + ago(done.Verified) + " or later"
		}
		for _, alarm := range status.Alarms {
			text += "\nalarm: " + oneLineText(alarm.Text)
		}
	}
	return a.say(done, "%s", text)
}

// verified returns the oldest time at which a comparison showed that a member who is connected holds the same; compared is false
// if there is one with whom none has.
func verified(s *client.Status, members map[string]bool) (oldest time.Time, compared bool) {
	for i := range s.Peers {
		p := &s.Peers[i]
		switch {
		case !p.Connected || p.Principal == s.Principal || !members[p.Principal]:
		case p.Verified.IsZero():
			return time.Time{}, false
		case oldest.IsZero() || p.Verified.Before(oldest):
			oldest = p.Verified
		}
	}
	return oldest, true
}

// ofSyncgroup asks for the status of the daemon and the members of a syncgroup.
func ofSyncgroup(ctx context.Context, c *client.Client, sg *client.Syncgroup) (*client.Status, map[string]bool, error) {
	status, err := c.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	members := map[string]bool{}
	for m, err := range sg.Members(ctx) {
		if err != nil {
			return nil, nil, err
		}
		members[m.Member] = true
	}
	return &status, members, nil
}

// whyNotLevel asks the daemon what a syncgroup has waited for since begun.
func whyNotLevel(ctx context.Context, c *client.Client, sg *client.Syncgroup, begun time.Time) string {
	status, members, err := ofSyncgroup(ctx, c, sg)
	if err != nil {
		return "and the daemon does not say why: " + err.Error()
	}
	return missing(status, members, begun)
}

// missing says what keeps a daemon from being level with the other members of a syncgroup. All of them were asked at begun. While it is not
// among the members itself, it has not heard of all of them; then whoever has something for it is one.
func missing(s *client.Status, members map[string]bool, begun time.Time) string {
	var behind, away, quiet []string
	pending := !members[s.Principal]
	for i := range s.Peers {
		p := &s.Peers[i]
		name := cmp.Or(p.Name, p.Address, p.Principal)
		switch {
		case p.Principal == s.Principal || p.Principal != "" && !members[p.Principal] && !(pending && p.LagRecords > 0):
		case !p.Connected && p.Error != "":
			away = append(away, fmt.Sprintf("%s is not connected: %s", name, oneLineText(p.Error)))
		case !p.Connected:
		case !p.LastContact.IsZero() && p.LastContact.Before(begun):
			behind = append(behind, fmt.Sprintf("%s is connected, but has not said anything since %s", name, ago(p.LastContact)))
		case p.Error != "":
			behind = append(behind, fmt.Sprintf("%s: %s", name, oneLineText(p.Error)))
		case p.LagRecords > 0:
			behind = append(behind, fmt.Sprintf("still %s behind %s", count(p.LagRecords, "record"), name))
		default:
			quiet = append(quiet, name)
		}
	}
	switch {
	case len(behind)+len(quiet) == 0 && pending:
		return strings.Join(append([]string{"this device has not heard yet who the other members are"}, away...), "; ")
	case len(behind)+len(quiet) == 0:
		return strings.Join(append([]string{"no other member is reachable"}, away...), "; ")
	case len(behind) == 0:
		behind = []string{strings.Join(quiet, ", ") + " connected, but has not answered yet, or has nothing of it for this device (was the database deleted there?)"}
	}
	return strings.Join(append(behind, away...), "; ")
}

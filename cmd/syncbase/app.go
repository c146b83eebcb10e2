package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// Exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitConflict = 4
)

// app is one run of the command line.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	// What the flags of the root command say.
	output, address, data string
	tls                   client.Options
}

// failure marks what went wrong after the command was understood; everything else is wrong usage.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// usage is a mistake in the words or flags that is found only when the command runs.
type usage struct{ error }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// run executes the arguments and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	out := &screen{w: a.out}
	a.out = out
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	if out.err != nil && (err == nil || errors.Is(err, out.err)) {
		err = failure{out.err}
	}
	switch {
	case err == nil:
		return exitDone
	case readerGone(out.err):
		return exitFailed // nobody is there to be told
	}
	var failed failure
	var misused usage
	if errors.As(err, &misused) || !errors.As(err, &failed) {
		fmt.Fprintf(a.err, "syncbase: %s\nSee '%s --help'.\n", oneLine(err), cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(a.err, "syncbase: %s\n", oneLine(failed.error))
	return exitCode(failed.error)
}

// oneLine keeps messages to the one line that scripts and people expect.
func oneLine(err error) string {
	return harmless(strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; "))
}

func exitCode(err error) int {
	switch {
	case errors.Is(err, client.ErrNotFound):
		return exitNotFound
	case errors.Is(err, client.ErrConflict):
		return exitConflict
	}
	return exitFailed
}

// action is what a command does.
type action func(ctx context.Context, args []string) error

// command makes a command; its example is part of the help.
func command(use, short, example string, args cobra.PositionalArgs, do action) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: indent(example), Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkArguments(use, args); err != nil {
				return err
			}
			if err := do(cmd.Context(), args); err != nil {
				return failure{plainly(cmd.Context(), err)}
			}
			return nil
		},
	}
}

// group makes a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	var examples []string
	for _, c := range commands {
		first, _, _ := strings.Cut(c.Example, "\n")
		examples = append(examples, first)
	}
	g := &cobra.Command{
		Use: use, Short: short, Example: strings.Join(examples, "\n"),
		// What is no command here is said to be none, whatever flags stand with it.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
			}
			return fmt.Errorf("%q takes a command", cmd.CommandPath())
		},
	}
	g.AddCommand(commands...)
	return g
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// isTerminal tells whether a person looks at what is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// json reports whether output is for scripts.
func (a *app) json() bool { return a.output == "json" }

// endpoint decides which daemon to speak to.
func (a *app) endpoint() (string, error) {
	if a.address != "" {
		return a.address, nil
	}
	if a.data == "" {
		if address := a.getenv("SYNCBASE_ADDRESS"); address != "" {
			return address, nil
		}
	}
	dir, err := a.dataDir()
	return "unix://" + filepath.Join(dir, "syncbase.sock"), err
}

// dataDir is the data directory that is meant, as an absolute path.
func (a *app) dataDir() (string, error) {
	if a.data != "" {
		return filepath.Abs(a.data)
	}
	return defaultDataDir()
}

// connect calls use with a connection to the daemon.
func (a *app) connect(ctx context.Context, use func(*client.Client) error) error {
	address, err := a.endpoint()
	if err != nil {
		return err
	}
	c, err := client.Dial(ctx, address, a.credentials())
	if errors.Is(err, client.ErrInvalid) {
		return usage{err}
	}
	if errors.Is(err, client.ErrUnavailable) && !errors.Is(err, client.ErrSilent) {
		return fmt.Errorf("%w; start one with 'syncbase serve', or say with --address or --data which one you mean", err)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	return use(c)
}

// credentials are those of the flags, or else of the environment.
func (a *app) credentials() client.Options {
	return client.Options{
		Cert: cmp.Or(a.tls.Cert, a.getenv("SYNCBASE_CERT")),
		Key:  cmp.Or(a.tls.Key, a.getenv("SYNCBASE_KEY")),
		CA:   cmp.Or(a.tls.CA, a.getenv("SYNCBASE_CA")),
		Warned: func(text string) {
			fmt.Fprintf(a.err, "syncbase: warning: %s\n", oneLineText(text))
		},
	}
}

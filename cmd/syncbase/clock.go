package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// maxShift is how far the daemon lets its clock be moved at a time.
const maxShift = 100 * 365 * 24 * time.Hour

func (a *app) clockCommand() *cobra.Command {
	var shift time.Duration
	var cmd *cobra.Command
	cmd = command("clock", "Show or shift the clock of a daemon in development", "syncbase clock --shift 48h\nsyncbase clock --shift 0s", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if shift.Abs() > maxShift {
				return usagef("--shift %v: want at most %v, which is a hundred years, ahead or back", shift, maxShift)
			}
			return a.connect(ctx, func(c *client.Client) error {
				move := c.ShiftClock
				if cmd.Flags().Changed("shift") && shift == 0 {
					move = func(ctx context.Context, _ time.Duration) (client.DevelopmentClock, error) { return resetClock(ctx, c) }
				}
				k, err := move(ctx, shift)
				if err != nil {
					return err
				}
				return a.say(k, "%s, %s", k.Now.Format(time.RFC3339), shifted(k.Shift))
			})
		})
	cmd.Long = `Show or shift the clock by which a daemon stamps what it writes, to test what time does.

Shifts add up; --shift 0s takes all of them back. It works only where the configuration says clock.development: true. The shift
ends with the daemon.`
	cmd.Flags().DurationVar(&shift, "shift", 0, "go ahead by this much, such as 48h; with a minus sign, back; 0s, to the time of the machine")
	return cmd
}

// resetClock takes back all shifts, the sum of which may be more than the daemon takes at a time.
func resetClock(ctx context.Context, c *client.Client) (client.DevelopmentClock, error) {
	k, err := c.ShiftClock(ctx, 0)
	for err == nil && k.Shift != 0 {
		k, err = c.ShiftClock(ctx, min(max(-k.Shift, -maxShift), maxShift))
	}
	return k, err
}

// shifted says how a clock stands to that of the machine.
func shifted(by time.Duration) string {
	if by < 0 {
		return fmt.Sprintf("%v behind the machine", -by)
	}
	return fmt.Sprintf("%v ahead of the machine", by)
}

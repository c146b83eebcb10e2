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
	cmd := command("clock", "Show or shift the clock of a daemon in development", "syncbase clock --shift 48h", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if shift.Abs() > maxShift {
				return usagef("--shift %v: want at most %v, which is a hundred years, ahead or back", shift, maxShift)
			}
			return a.connect(ctx, func(c *client.Client) error {
				k, err := c.ShiftClock(ctx, shift)
				if err != nil {
					return err
				}
				return a.say(k, "%s, %s", k.Now.Format(time.RFC3339), shifted(k.Shift))
			})
		})
	cmd.Long = `Show or shift the clock by which a daemon stamps what it writes, to test what time does.

It works only where the configuration says clock.development: true. The shift ends with the daemon.`
	cmd.Flags().DurationVar(&shift, "shift", 0, "go ahead by this much, such as 48h; with a minus sign, back")
	return cmd
}

// shifted says how a clock stands to that of the machine.
func shifted(by time.Duration) string {
	if by < 0 {
		return fmt.Sprintf("%v behind the machine", -by)
	}
	return fmt.Sprintf("%v ahead of the machine", by)
}

package client_test

import (
	"context"
	"log"

	"github.com/syncbase/syncbase/sdk/client"
)

// Counters that were raised on several devices at the same time are added up. The schema leaves their conflicts to the
// application.
func ExampleDatabase_ResolveConflicts() {
	ctx := context.Background()
	c, err := client.Dial(ctx, "unix:///home/me/.local/share/syncbase/syncbase.sock", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	db := c.Database("game")
	policy := `{"rules":[{"collection":"scores","type":"counter","resolver":"app"}]}`
	if err := db.SetSchema(ctx, client.Schema{Version: 1, Policy: []byte(policy)}); err != nil {
		log.Fatal(err)
	}
	number := func(v *client.ConflictVersion) (n int) {
		if v != nil && !v.Deleted {
			_ = client.Row{Value: v.Value}.Decode(&n)
		}
		return n
	}
	err = db.ResolveConflicts(ctx, func(_ context.Context, g client.ConflictGroup) ([]client.Resolution, error) {
		var answer []client.Resolution
		for i := range g.Conflicts {
			q := &g.Conflicts[i]
			sum := number(&q.Local) + number(q.Remote) - number(q.Ancestor)
			answer = append(answer, q.Merge(sum))
		}
		return answer, nil
	}, client.ResolverOptions{})
	log.Print(err)
}

package syncgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// publishedKey is the row that says where the syncgroup was published.
const publishedKey = "published"

// publication is the row "published": with the target of the specification in it, nothing is left to do. Several members
// may write it, of which any one counts.
type publication struct {
	Target string       `json:"target"`
	Peer   id.Principal `json:"peer"`
	At     time.Time    `json:"at"`
	Made   time.Time    `json:"made,omitzero"` // the incarnation
}

// Published reports whether the syncgroup is where its specification wants it to be published.
func Published(db *rows.DB, g Group) (bool, error) {
	row, err := db.Get(Metadata(g.Name), publishedKey)
	if errors.Is(err, rows.ErrNoRow) || errors.Is(err, rows.ErrNoCollection) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var p publication
	return json.Unmarshal(row.Value, &p) == nil && p.Target == g.Spec.Publish && p.Made.Equal(g.Spec.Made), nil
}

// MayPublish reports whether this device, self, has to see to the publishing of the syncgroup.
func MayPublish(db *rows.DB, g Group, self id.Principal) (bool, error) {
	if g.Spec.Publish == "" || g.State != Active || g.mayAdmit(self) != nil || db.Published().Paused {
		return false, nil
	}
	done, err := Published(db, g)
	return !done, err
}

// Publishable checks that the syncgroup can be published at the principal.
func Publishable(g Group, p id.Principal) error {
	if g.Spec.Permissions.Allows(p, perm.Read) {
		return nil
	}
	return fmt.Errorf("%w: %s, where %s is to be published, needs Read on its access list", ErrDenied, p, g.Name)
}

// SetPublished admits the peer, which has taken the syncgroup, and notes that nothing is left to do.
func SetPublished(db *rows.DB, g Group, self id.Principal, m Member, now time.Time) error {
	if _, err := Admit(db, g.Name, self, m); err != nil {
		return err
	}
	raw, err := json.Marshal(publication{Target: g.Spec.Publish, Peer: m.Principal, At: now.UTC().Truncate(time.Second), Made: g.Spec.Made})
	if err != nil {
		return err
	}
	_, err = db.Commit([]rows.Op{{Collection: Metadata(g.Name), Key: publishedKey, Value: raw}}, nil)
	return err
}

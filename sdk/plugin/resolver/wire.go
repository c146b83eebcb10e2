package resolver

import (
	"errors"
	"strings"

	resolverv1 "github.com/syncbase/syncbase/sdk/api/resolver/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
)

const maxErrorBytes = 1 << 10

// ErrFailed is wrapped by what a Client returns when the plugin failed on one conflict; the connection is fine.
var ErrFailed = errors.New("the resolver failed")

func conflictToProto(c Conflict) *resolverv1.ResolveRequest {
	out := &resolverv1.ResolveRequest{Collection: c.Collection, Key: c.Key}
	if c.Base != nil {
		out.Base = versionToProto(*c.Base)
	}
	for _, v := range c.Siblings {
		out.Siblings = append(out.Siblings, versionToProto(v))
	}
	return out
}

func versionToProto(v Version) *resolverv1.Version {
	return &resolverv1.Version{Id: v.ID, Author: v.Author, Hlc: v.HLC, Deleted: v.Deleted, Type: v.Type, Value: v.Value}
}

func conflictFromProto(p *resolverv1.ResolveRequest) Conflict {
	c := Conflict{Collection: p.GetCollection(), Key: p.GetKey()}
	if p.GetBase() != nil {
		base := versionFromProto(p.GetBase())
		c.Base = &base
	}
	for _, v := range p.GetSiblings() {
		c.Siblings = append(c.Siblings, versionFromProto(v))
	}
	return c
}

func versionFromProto(p *resolverv1.Version) Version {
	return Version{
		ID: p.GetId(), Author: p.GetAuthor(), HLC: p.GetHlc(),
		Deleted: p.GetDeleted(), Type: p.GetType(), Value: p.GetValue(),
	}
}

// decisionToProto expects a decision that has passed Conflict.Check.
func decisionToProto(seq uint64, d Decision) *resolverv1.ResolveResponse {
	out := &resolverv1.ResolveResponse{Seq: seq}
	switch d.Choice {
	case ChoosePick:
		out.Decision = &resolverv1.ResolveResponse_Pick{Pick: d.ID}
	case ChooseMerge:
		merged := &resolverv1.Merged{Type: strings.ToValidUTF8(d.Type, "\uFFFD"), Value: d.Value}
		out.Decision = &resolverv1.ResolveResponse_Merged{Merged: merged}
	case ChooseDelete:
		out.Decision = &resolverv1.ResolveResponse_Delete{Delete: true}
	default:
		out.Decision = &resolverv1.ResolveResponse_KeepConflict{KeepConflict: true}
	}
	return out
}

func failureToProto(seq uint64, err error) *resolverv1.ResolveResponse {
	text := plugin.Clip(err.Error(), maxErrorBytes)
	return &resolverv1.ResolveResponse{Seq: seq, Decision: &resolverv1.ResolveResponse_Error{Error: text}}
}

// decisionFromProto answers the zero Decision for one that it does not know; Conflict.Check refuses that.
func decisionFromProto(p *resolverv1.ResolveResponse) (d Decision, failure string) {
	switch x := p.GetDecision().(type) {
	case *resolverv1.ResolveResponse_Pick:
		d = Decision{Choice: ChoosePick, ID: x.Pick}
	case *resolverv1.ResolveResponse_Merged:
		d = Merge(x.Merged.GetType(), x.Merged.GetValue())
	case *resolverv1.ResolveResponse_Delete:
		if x.Delete {
			d = Delete()
		}
	case *resolverv1.ResolveResponse_KeepConflict:
		if x.KeepConflict {
			d = Keep()
		}
	case *resolverv1.ResolveResponse_Error:
		if failure = x.Error; failure == "" {
			failure = "no reason given"
		}
	}
	return d, failure
}

package plugin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

// config is what the plugin under test takes.
type config struct {
	Color string `json:"color" doc:"Color of the lamp."`
	Open  string `json:"open"` // "fault" and "error" make the factory fail
}

func (c config) Validate() error {
	if c.Color == "pink" {
		return errors.Join(
			&plugin.ConfigError{Path: "/color", Summary: "pink is not sold any more", Detail: "take red"},
			errors.New("and it is Sunday"),
		)
	}
	return nil
}

// lamp is the plugin under test: it counts what is done to it.
type lamp struct {
	color  atomic.Value
	closed atomic.Int32
	health atomic.Pointer[error]
	waits  atomic.Int32 // watches under way
}

var (
	_ discovery.Plugin     = (*lamp)(nil)
	_ plugin.Reconfigurer  = (*lamp)(nil)
	_ plugin.HealthChecker = (*lamp)(nil)
)

func (l *lamp) kind() plugin.Kind {
	return discovery.Kind(func(_ context.Context, setup plugin.Setup) (discovery.Plugin, error) {
		var c config
		if err := setup.Decode(&c); err != nil {
			return nil, err
		}
		switch c.Open {
		case "fault":
			return nil, fmt.Errorf("lamp: %w", &plugin.ConfigError{Path: "/open", Summary: "does not open"})
		case "error":
			return nil, errors.New("the bulb is missing")
		}
		l.color.Store(c.Color)
		return l, nil
	}).WithConfig(config{Color: "red"}).WithFeatures("dimmer").AsExclusive()
}

func (l *lamp) Announce(ctx context.Context, _ discovery.Advert, _ func([]string)) error {
	<-ctx.Done()
	return nil
}

func (l *lamp) Watch(ctx context.Context, report func(discovery.Event) error) error {
	l.waits.Add(1)
	defer l.waits.Add(-1)
	if err := report(discovery.Event{Kind: discovery.Synced}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (l *lamp) Reconfigure(_ context.Context, setup plugin.Setup) error {
	var c config
	if err := setup.Decode(&c); err != nil {
		return err
	}
	if c.Color == "gold" {
		return plugin.ErrRestartRequired
	}
	l.color.Store(c.Color)
	return nil
}

func (l *lamp) Health(context.Context) error {
	if err := l.health.Load(); err != nil {
		return *err
	}
	return nil
}

func (l *lamp) Close() error {
	l.closed.Add(1)
	if l.waits.Load() > 0 {
		return errors.New("closed while in use")
	}
	return nil
}

func serveLamp(t *testing.T, l *lamp) (*plugintest.Running, pluginv1.PluginServiceClient) {
	t.Helper()
	running, err := plugintest.Serve(plugin.Spec{Name: "lamp", Version: "1.2", Kinds: []plugin.Kind{l.kind()}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	return running, pluginv1.NewPluginServiceClient(running.Conn)
}

func TestDescribe(t *testing.T) {
	_, stub := serveLamp(t, &lamp{})
	got, err := stub.Describe(t.Context(), &pluginv1.DescribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	kind := got.GetKinds()[0]
	if got.GetName() != "lamp" || got.GetVersion() != "1.2" || !got.GetExclusive() || len(got.GetKinds()) != 1 ||
		kind.GetService() != "syncbase.discovery.v1.DiscoveryService" || kind.GetRevision() != 1 || kind.GetFeatures()[0] != "dimmer" {
		t.Errorf("described as %v", got)
	}
	if !json.Valid(got.GetConfigSchema()) || !strings.Contains(string(got.GetConfigSchema()), "Color of the lamp.") {
		t.Errorf("schema: %s", got.GetConfigSchema())
	}
}

func TestValidate(t *testing.T) {
	l := &lamp{}
	_, stub := serveLamp(t, l)
	for text, want := range map[string][]string{
		``:                  nil,
		`{"color":"blue"}`:  nil,
		`{"colour":"blue"}`: {"/colour: unknown field (known are color, open)"},
		`{"color":"pink"}`:  {"/color: pink is not sold any more (take red)", ": and it is Sunday"},
	} {
		answer, err := stub.Validate(t.Context(), &pluginv1.ValidateRequest{Config: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range answer.GetDiagnostics() {
			line := d.GetPath() + ": " + d.GetSummary()
			if d.GetDetail() != "" {
				line += " (" + d.GetDetail() + ")"
			}
			got = append(got, line)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	if l.color.Load() != nil {
		t.Error("validating has opened the plugin")
	}
}

// TestLife goes through everything that a host does with an instance.
func TestLife(t *testing.T) {
	l := &lamp{}
	running, stub := serveLamp(t, l)
	ctx := t.Context()
	watch := func() error {
		stream, err := discoveryv1.NewDiscoveryServiceClient(running.Conn).Watch(ctx, &discoveryv1.WatchRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	sick := func(err error) { l.health.Store(&err) }
	health := func() pluginv1.State {
		t.Helper()
		answer, err := stub.Health(ctx, &pluginv1.HealthRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetState()
	}

	if got := status.Code(watch()); got != codes.FailedPrecondition {
		t.Errorf("call before Configure: %v, want FailedPrecondition", got)
	}
	if got := health(); got != pluginv1.State_STATE_NOT_SERVING {
		t.Errorf("health before Configure: %v", got)
	}
	var fault *plugin.ConfigError
	if err := running.Configure(ctx, plugintest.Options{Config: config{Open: "fault"}}); !errors.As(err, &fault) || fault.Path != "/open" {
		t.Errorf("factory that refuses the configuration: %v", err)
	}
	if err := running.Configure(ctx, plugintest.Options{Config: config{Open: "error"}}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("factory that fails: %v, want FailedPrecondition", err)
	}
	if err := running.Configure(ctx, plugintest.Options{FrameBytes: 1}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("frames of one byte: %v, want InvalidArgument", err)
	}
	if err := running.Configure(ctx, plugintest.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := watch(); err != nil {
		t.Errorf("call after Configure: %v", err)
	}

	sick(fmt.Errorf("flickers: %w", plugin.ErrDegraded))
	if got := health(); got != pluginv1.State_STATE_DEGRADED {
		t.Errorf("health: %v, want degraded", got)
	}
	sick(errors.New("burnt out"))
	if got := health(); got != pluginv1.State_STATE_NOT_SERVING {
		t.Errorf("health: %v, want not serving", got)
	}

	if err := running.Configure(ctx, plugintest.Options{Config: config{Color: "blue"}}); err != nil || l.color.Load() != "blue" {
		t.Errorf("configure again: %v, color %v", err, l.color.Load())
	}
	if err := running.Configure(ctx, plugintest.Options{Config: config{Color: "gold"}}); !errors.Is(err, plugin.ErrRestartRequired) {
		t.Errorf("configure what needs a new process: %v", err)
	}

	for range 2 {
		if err := running.Drain(ctx, time.Minute); err != nil {
			t.Errorf("drain: %v", err)
		}
	}
	if n := l.closed.Load(); n != 1 {
		t.Errorf("closed %d times, want once", n)
	}
	if got := status.Code(watch()); got != codes.Unavailable {
		t.Errorf("call after Drain: %v, want Unavailable", got)
	}
	if err := running.Configure(ctx, plugintest.Options{}); status.Code(err) != codes.Unavailable {
		t.Errorf("configure after Drain: %v, want Unavailable", err)
	}
	if got := health(); got != pluginv1.State_STATE_NOT_SERVING {
		t.Errorf("health after Drain: %v", got)
	}
}

func TestSpecsThatAreRefused(t *testing.T) {
	good := (&lamp{}).kind()
	other := good
	other.Service, other.Config = "other", struct{ X int }{}
	number := good
	number.Config = 5
	for name, spec := range map[string]plugin.Spec{
		"no kinds":           {Name: "x"},
		"bad name":           {Name: "No Name", Kinds: []plugin.Kind{good}},
		"same kind twice":    {Name: "x", Kinds: []plugin.Kind{good, good}},
		"two configurations": {Name: "x", Kinds: []plugin.Kind{good, other}},
		"no struct":          {Name: "x", Kinds: []plugin.Kind{number}},
		"empty kind":         {Name: "x", Kinds: []plugin.Kind{{}}},
	} {
		if _, err := plugintest.Serve(spec, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

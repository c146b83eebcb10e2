package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// checks are for arguments that are wrong whatever a daemon holds, by what the usage line of a command calls them.
var checks = map[string]func(what, text string) error{
	"DB": checkName, "COLLECTION": checkName, "SG": checkName, "KEY": checkKey, "REF": checkRef,
}

// What a daemon takes, in bytes.
const (
	maxName = 1024
	maxKey  = 4096
	maxType = 256
)

// principal is how a principal is written, but that no part of it may be dots alone.
var principal = regexp.MustCompile(`^[a-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)

// checkArguments checks the arguments of a command by the words of its usage line.
func checkArguments(use string, args []string) error {
	for i, word := range strings.Fields(use)[1:] {
		if check := checks[word]; check != nil && i < len(args) {
			if err := check(word, args[i]); err != nil {
				return usage{err}
			}
		}
	}
	return nil
}

// checkName checks a name, with or without its owner.
func checkName(what, text string) error {
	owner, local, found := strings.Cut(strings.TrimPrefix(text, "spiffe://"), ":")
	if !found {
		owner, local = "", text
	}
	if text != "" && found && local == "" {
		return fmt.Errorf("%s %q: there is no name after the colon", what, text)
	}
	if err := checkText(what, text); err != nil {
		return err
	}
	dots := func(part string) bool { return strings.Trim(part, ".") == "" }
	if owner != "" && (!principal.MatchString(owner) || slices.ContainsFunc(strings.Split(owner, "/"), dots)) {
		return fmt.Errorf("%s %q: before the colon stands no principal, such as home.local/owner; a name with a colon in it is written with one in front", what, clip(text, 80))
	}
	return checkLength(what, max(len(local), len(owner)), maxName)
}

func checkKey(what, text string) error {
	if err := checkText(what, text); err != nil {
		return err
	}
	return checkLength(what, len(text), maxKey)
}

// checkType checks the flag --type, which may be empty.
func checkType(text string) error {
	if text == "" {
		return nil
	}
	if err := checkText("--type", text); err != nil {
		return usage{err}
	}
	if err := checkLength("--type", len(text), maxType); err != nil {
		return usage{err}
	}
	return nil
}

// checkRange checks the flags that say which keys are meant: a limit may be one byte longer than any key.
func checkRange(r client.Range) error {
	if r.Prefix != "" && (r.Start != "" || r.Limit != "") {
		return usagef("--prefix cannot go together with --start or --limit")
	}
	for _, flag := range []struct{ name, text string }{{"--prefix", r.Prefix}, {"--start", r.Start}, {"--limit", r.Limit}} {
		if err := checkLength(flag.name, len(flag.text), maxKey+1); err != nil {
			return usage{err}
		}
	}
	return nil
}

func checkLength(what string, n, most int) error {
	if n > most {
		return fmt.Errorf("%s has %d bytes, the limit is %d", what, n, most)
	}
	return nil
}

func checkText(what, text string) error {
	switch {
	case text == "":
		return fmt.Errorf("%s is empty", what)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s %q is not UTF-8", what, text)
	case strings.ContainsFunc(text, unicode.IsControl):
		return fmt.Errorf("%s %q has a control character", what, text)
	}
	return nil
}

func checkRef(_, text string) error {
	digits, found := strings.CutPrefix(text, "blob1-")
	if hash, err := hex.DecodeString(digits); !found || err != nil || len(hash) != 32 || strings.ToLower(digits) != digits {
		return fmt.Errorf("reference %.80q: want blob1- and 64 lower-case hexadecimal digits, as 'syncbase blob put' prints them", text)
	}
	return nil
}

// oneOf checks the value of a flag that has few.
func oneOf(flag, text string, allowed ...string) error {
	if slices.Contains(allowed, text) {
		return nil
	}
	last := len(allowed) - 1
	return usagef("--%s %q: want %s or %s", flag, text, strings.Join(allowed[:last], ", "), allowed[last])
}

// digitFlag is how a negative number is refused as a flag.
var digitFlag = regexp.MustCompile(`^unknown shorthand flag: '[0-9]'`)

// plainFlagError says what a flag takes in words of people.
func plainFlagError(_ *cobra.Command, err error) error {
	if digitFlag.MatchString(err.Error()) {
		return fmt.Errorf("%w; a value or a key that begins with - goes behind --", err)
	}
	cause := errors.Unwrap(err)
	if cause == nil {
		return err
	}
	var number *strconv.NumError
	want := ""
	switch {
	case errors.As(cause, &number) && number.Func == "ParseBool":
		want = "want true or false"
	case errors.As(cause, &number) && number.Func == "ParseUint":
		want = "want a whole number, 0 or more"
	case errors.As(cause, &number):
		want = "want a whole number"
	case strings.HasPrefix(cause.Error(), "time: "):
		want = "want a time such as " + (1500 * time.Millisecond).String() + ", 30s or 5m"
	default:
		return err
	}
	if number != nil && errors.Is(number.Err, strconv.ErrRange) {
		want += ", and not one that large"
	}
	return errors.New(strings.TrimSuffix(err.Error(), cause.Error()) + want)
}

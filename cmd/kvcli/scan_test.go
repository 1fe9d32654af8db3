package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A scan with a limit never says that it is at its end while there are more keys, and
// goes on where it ended, in both orders.
func TestAScanGoesOnWhereItEnded(t *testing.T) {
	f := newFakeCluster()
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf("key-%d", i))
		require.Zero(t, runWith(t, f, "", "put", "b", want[i], "v").exit)
	}
	for _, order := range []string{"", " --sorted"} {
		line := "scan b --limit 4" + order
		var documents, lines []string
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			require.Less(t, pages, 4)
			at := strings.Fields(line)
			if cursor != "" {
				at = append(at, "--cursor", cursor)
			}
			text := runWith(t, f, "", at...)
			require.Zero(t, text.exit, text.stderr)
			lines = append(lines, strings.Fields(text.stdout)...)
			var page struct {
				Keys   []struct{ Key string }
				Cursor string
			}
			o := runWith(t, f, "", append(at, "-o", "json")...)
			require.NoError(t, json.Unmarshal([]byte(o.stdout), &page))
			for _, k := range page.Keys {
				documents = append(documents, k.Key)
			}
			cursor = page.Cursor
			told := regexp.MustCompile(`--cursor (\S+)`).FindStringSubmatch(text.stderr)
			require.Equal(t, cursor != "", told != nil, text.stderr)
			if told != nil {
				require.Equal(t, cursor, told[1])
			}
		}
		require.Equal(t, lines, documents)
		if order == "" {
			require.ElementsMatch(t, want, lines)
		} else {
			require.Equal(t, want, lines)
		}
	}
}

// A cursor of one order means nothing in the other.
func TestAScanGoesOnInItsOrderOnly(t *testing.T) {
	f := newFakeCluster()
	for i := range 4 {
		require.Zero(t, runWith(t, f, "", "put", "b", fmt.Sprint(i), "v").exit)
	}
	for from, to := range map[string]string{"": " --sorted", " --sorted": ""} {
		o := runWith(t, f, "", strings.Fields("scan b --limit 2"+from)...)
		cursor := o.stderr[strings.LastIndex(o.stderr, " ")+1:]
		o = runWith(t, f, "", append(strings.Fields("scan b"+to), "--cursor", strings.TrimSpace(cursor))...)
		require.Equal(t, exitError, o.exit)
		require.Contains(t, o.stderr, "give --sorted to both scans or to none")
	}
}

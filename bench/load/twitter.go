package load

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// TwitterCredit goes wherever the profiles of Twitter are shown.
const TwitterCredit = "twitter-…: Yang, Yue, Rashmi: A large scale analysis of hundreds of in-memory cache clusters at Twitter, OSDI 2020; github.com/twitter/cache-trace, CC BY 4.0"

//go:embed twitter-2020.csv
var twitterCSV string

// twitterRows is how many clusters the file has.
const twitterRows = 53

// twitterProfiles reads the file that is part of the program: a mistake in it is
// our own, and a test reads it too.
func twitterProfiles() []Profile {
	list, err := parseTwitter(twitterCSV)
	if err != nil {
		panic(err)
	}
	return list
}

// parseTwitter turns each row of the table into a profile.
func parseTwitter(text string) ([]Profile, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var list []Profile
	for _, row := range rows[1:] {
		p, err := twitterProfile(func(name string) string { return row[column[name]] })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row[0], err)
		}
		list = append(list, p)
	}
	return list, nil
}

func twitterProfile(field func(string) string) (p Profile, err error) {
	p.Name = "twitter-" + strings.TrimPrefix(field("name"), "cluster")
	p.About = fmt.Sprintf("Twitter's cache %s: %s", field("name"), field("operations"))
	if p.KeyBytes, err = strconv.Atoi(field("key_bytes")); err != nil {
		return p, err
	}
	if p.ValueBytes, err = strconv.Atoi(field("value_bytes")); err != nil {
		return p, err
	}
	if p.Mix, err = twitterMix(field("operations")); err != nil {
		return p, err
	}
	if p.Popularity, err = twitterPopularity(field("zipf_alpha")); err != nil {
		return p, err
	}
	p.TTLs, err = twitterTTLs(field("ttl_seconds_weights"))
	return p, err
}

// twitterKinds say what the verbs of memcached are here. Add stores a key that is
// not there; cas, incr and prepend depend on what is.
func twitterKinds() map[string]Kind {
	return map[string]Kind{"get": Get, "gets": Get, "set": Put, "add": Insert, "cas": Update, "incr": Update, "prepend": Update, "delete": Delete}
}

func twitterMix(text string) (Mix, error) {
	kinds, m := twitterKinds(), Mix{}
	for part := range strings.SplitSeq(text, ";") {
		verb, share, given := cutNumber(part, ":")
		kind, known := kinds[verb]
		if !known || !given || !(share > 0) {
			return nil, fmt.Errorf("%q is no operation and its share", part)
		}
		m[kind] += share
	}
	return m, nil
}

// twitterPopularity takes an exponent that was not published for none.
func twitterPopularity(text string) (Popularity, error) {
	if text == "NA" || text == "0" {
		return Popularity{Shape: Uniform}, nil
	}
	exponent, err := strconv.ParseFloat(text, 64)
	return Popularity{Zipfian, exponent}, err
}

func twitterTTLs(text string) ([]TTL, error) {
	var ttls []TTL
	for part := range strings.SplitSeq(text, ";") {
		seconds, weight, given := cutNumber(part, ":")
		n, err := strconv.Atoi(seconds)
		if err != nil || n < 1 || !given || !(weight > 0) {
			return nil, fmt.Errorf("%q is no time to live and its weight", part)
		}
		ttls = append(ttls, TTL{time.Duration(n) * time.Second, weight})
	}
	return ttls, nil
}

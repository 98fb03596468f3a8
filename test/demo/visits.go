package main

import (
	"net/url"
	"strings"
)

// visits are the URLs of what visitors do: quick, slow and failing requests,
// through as many services as there are.
func (s *shop) visits() []string {
	routes := [][]string{
		{"stock", "prices/"},
		{"stock", "shipping", "taxes/"},
		{"stock", "prices", "reviews/slow?ms=400"},
		{"search", "reviews/"},
		{"shipping", "taxes/error"},
		{"stock", "search", "prices/error"},
		{"taxes", "stock/slow?ms=250"},
	}
	var visits []string
	for _, route := range routes {
		if target := s.through(route); target != "" {
			visits = append(visits, s.front+"/call?url="+url.QueryEscape(target))
		}
	}
	return append(visits, s.front+"/")
}

// through is the URL that makes the first service of the route call the second,
// and so on, until the last one serves the path that follows its name. It is ""
// when a service of the route is not running.
func (s *shop) through(route []string) string {
	name, path, _ := strings.Cut(route[len(route)-1], "/")
	target := s.urls[name]
	if target == "" {
		return ""
	}
	target += "/" + path
	for i := len(route) - 2; i >= 0; i-- {
		base := s.urls[route[i]]
		if base == "" {
			return ""
		}
		target = base + "/call?url=" + url.QueryEscape(target)
	}
	return target
}

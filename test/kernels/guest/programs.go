package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
)

// serve answers every request on address after it has asked next for the same
// target, on connections that it keeps; next may be "-" for none.
func serve(address, next string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		if next != "-" {
			request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+next+r.URL.RequestURI(), nil)
			if err == nil {
				err = do(request)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	}
	return http.Serve(listener, http.HandlerFunc(handler))
}

// get asks for each URL in turn, on one connection where the hosts agree.
func get(urls []string) error {
	for _, url := range urls {
		request, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if err := do(request); err != nil {
			return err
		}
	}
	return nil
}

// do wants a 200 and reads the body to its end, so that the connection can
// serve again.
func do(request *http.Request) error {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", request.URL, response.Status)
	}
	return nil
}

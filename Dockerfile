# One static binary on an empty image. The BPF objects are committed, so that
# the build needs Go and nothing else.
#
#	docker build --build-arg VERSION=$(git describe --tags --always) -t clew .

ARG GO_IMAGE=docker.io/library/golang:1.26
FROM --platform=${BUILDPLATFORM} ${GO_IMAGE} AS build
ARG VERSION=unknown
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /clew ./cmd/agent

FROM scratch
COPY --from=build /clew /clew
COPY LICENSE /LICENSE
# No USER line: the agent needs the capabilities named in deploy/daemonset.yaml,
# and the kernel gives those only to a process that starts as root.
ENTRYPOINT ["/clew"]

# The image for clusters: the binary, four Debian libraries, CA certificates. No shell, no package
# manager, no emulator.
#
#   docker build -t REGISTRY/bedrock-grpc:VERSION .
#   docker build --build-arg FEATURES=emulator -t bedrock-grpc:try .    # with the emulator
#
# Needs BuildKit or Buildah. `tests/image/run` builds the last stage from an existing binary, and
# runs it.
ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-bookworm AS build
# Cargo features: "emulator", or none.
ARG FEATURES=""
ENV FEATURES=$FEATURES
WORKDIR /src
COPY . .
# Cache folders are not part of the layer, so the build output is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile image --package bedrock-grpc --no-default-features ${FEATURES:+--features "$FEATURES"} \
    && image/rootfs target/image/bedrock-grpc /rootfs

FROM scratch AS rootfs
COPY --from=build /rootfs /

FROM scratch AS image
COPY --from=rootfs / /
LABEL org.opencontainers.image.title="bedrock-grpc" \
      org.opencontainers.image.description="Amazon Bedrock over gRPC" \
      org.opencontainers.image.licenses="Apache-2.0"
# The user is a number, so that Kubernetes can verify that it is not root.
USER 65532:65532
EXPOSE 50051 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/bedrock-grpc"]
CMD ["serve"]

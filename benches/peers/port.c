// Preloaded into TensorZero's embedded gateway, which asks for any free port of loopback. It gets
// the port in the variable PORT_TO_BIND.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *address, socklen_t length) {
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    const char *port = getenv("PORT_TO_BIND");
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    if (port && in->sin_family == AF_INET && in->sin_port == 0) in->sin_port = htons(atoi(port));
    return next(fd, address, length);
}

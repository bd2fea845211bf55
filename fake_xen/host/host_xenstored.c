// SPDX-License-Identifier: MIT
/*
 * xenstore for programs that know nothing of this project: DIR/xenstored.socket speaks for domain 0,
 * DIR/domain/<domid>/xenstored.socket for that domain. Who may open the socket is the domain.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host.h"

#define SOCKET_NAME  "xenstored.socket"
#define DOMAINS_NAME "domain"

/* ---- names ---- */

static int domains_path(const struct fakexen_host *host, char *buf, size_t size)
{
    int length = snprintf(buf, size, "%s/" DOMAINS_NAME, host->dir);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

static int domain_path(const struct fakexen_host *host, domid_t domid, char *buf, size_t size)
{
    int length = domid ? snprintf(buf, size, "%s/" DOMAINS_NAME "/%u", host->dir, (unsigned int)domid)
                       : snprintf(buf, size, "%s", host->dir);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

int host_xenstored_address(const struct fakexen_host *host, domid_t domid, struct sockaddr_un *address)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    int rc = domain_path(host, domid, address->sun_path, sizeof(address->sun_path));
    size_t used = strlen(address->sun_path);
    if (rc || used + sizeof("/" SOCKET_NAME) > sizeof(address->sun_path))
        return -ENAMETOOLONG;
    memcpy(address->sun_path + used, "/" SOCKET_NAME, sizeof("/" SOCKET_NAME));
    return 0;
}

int host_xenstored_check(const struct fakexen_host *host)
{
    struct sockaddr_un address;
    return host_xenstored_address(host, DOMID_FIRST_RESERVED - 1, &address);
}

/* ---- files ---- */

static int make_folder(const char *path)
{
    return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

static int make_folders(const struct fakexen_host *host, domid_t domid)
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    if (!domid)
        return 0;
    int rc = domains_path(host, path, sizeof(path));
    if (!rc)
        rc = make_folder(path);
    if (!rc)
        rc = domain_path(host, domid, path, sizeof(path));
    return rc ? rc : make_folder(path);
}

/* The folder of all goes with that of the last. */
static void remove_files(const struct fakexen_host *host, domid_t domid)
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct sockaddr_un address;
    if (!host_xenstored_address(host, domid, &address))
        unlink(address.sun_path);
    if (domid && !domain_path(host, domid, path, sizeof(path)))
        rmdir(path);
    if (domid && !domains_path(host, path, sizeof(path)))
        rmdir(path);
}

void host_xenstored_clear(const struct fakexen_host *host)
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    DIR *folder = domains_path(host, path, sizeof(path)) ? NULL : opendir(path);
    remove_files(host, 0);
    if (!folder)
        return;
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        unsigned int domid;
        char end;
        if (sscanf(entry->d_name, "%5u%c", &domid, &end) == 1 && domid < DOMID_FIRST_RESERVED)
            remove_files(host, (domid_t)domid);
    }
    closedir(folder);
}

/* ---- sockets ---- */

static int listen_at(struct fakexen_host *host, struct host_xenstored *xenstored, int fd)
{
    struct sockaddr_un address;
    int rc = host_xenstored_address(host, xenstored->domain->domid, &address);
    if (!rc)
        rc = make_folders(host, xenstored->domain->domid);
    if (rc)
        return rc;
    /* Nobody can connect before listen(), so the mode holds for all. */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) || chmod(address.sun_path, 0600) ||
        listen(fd, 64))
        return -errno;
    return host_watch_source(host, &xenstored->source);
}

int host_xenstored_open(struct fakexen_host *host, struct host_domain *domain)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    domain->xenstored =
        (struct host_xenstored){.source = {.kind = HOST_XENSTORED, .fd = fd}, .domain = domain};
    int rc = listen_at(host, &domain->xenstored, fd);
    if (rc)
        host_xenstored_close(host, domain);
    return rc;
}

void host_xenstored_close(struct fakexen_host *host, struct host_domain *domain)
{
    if (domain->xenstored.source.fd < 0)
        return;
    close(domain->xenstored.source.fd);
    domain->xenstored.source.fd = -1;
    /* epoll may have reported it in this step already. */
    domain->xenstored.source.gone = true;
    remove_files(host, domain->domid);
    for (struct host_xenstore *x = host->xenstores; x; x = x->next) {
        if (!x->source.gone && x->domid == domain->domid)
            host_xenstore_close(x);
    }
}

void host_xenstored_accept(struct fakexen_host *host, struct host_xenstored *xenstored)
{
    struct host_xenstore *added;
    domid_t domid = xenstored->domain->domid;
    unsigned int count = 0;
    int fd = host_accept(host, &xenstored->source);
    if (fd < 0)
        return;
    for (const struct host_xenstore *x = host->xenstores; x; x = x->next)
        count += !x->source.gone && x->domid == domid;
    if (count >= (domid ? HOST_XENSTORES_GUEST_MAX : HOST_XENSTORES_DOM0_MAX))
        close(fd);
    else
        (void)host_xenstore_add(host, domid, fd, &added);
}

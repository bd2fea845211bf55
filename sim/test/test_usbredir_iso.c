// SPDX-License-Identifier: MIT
/*
 * Goal: isochronous streams over usbredir carry every packet, in its order and as it was, as far as there is
 * room for it; the test is the usb-guest.
 */
#include <sys/socket.h>

#include "devices/audio.h"
#include "devices/zero.h"
#include "test/redir_peer.h"

/* A sound card, whose samples are numbers, with both streaming interfaces set up. */
static struct usb_device *open_card(struct redir_peer *peer)
{
    struct usb_device *card;
    assert_int_equal(audio_create(&(struct audio_config){.speed = USBIF_SPEED_HIGH}, &card), 0);
    redir_peer_open(peer, card);
    redir_peer_step(peer);
    struct usb_redir_set_configuration_header header = {.configuration = 1};
    usbredirparser_send_set_configuration(peer->parser, 1, &header);
    for (uint8_t interface = 1; interface <= 2; interface++) {
        struct usb_redir_set_alt_setting_header setting = {.interface = interface, .alt = 1};
        usbredirparser_send_set_alt_setting(peer->parser, 2, &setting);
    }
    redir_peer_pass(peer, 1);
    assert_non_null(strstr(peer->told, "2: setting 2.1 status 0; "));
    peer->told[0] = '\0';
    return card;
}

static void start_stream(struct redir_peer *peer, uint64_t id, uint8_t endpoint, uint8_t packets,
                         uint8_t urbs)
{
    struct usb_redir_start_iso_stream_header start = {endpoint, packets, urbs};
    usbredirparser_send_start_iso_stream(peer->parser, id, &start);
}

static void stop_stream(struct redir_peer *peer, uint64_t id, uint8_t endpoint)
{
    struct usb_redir_stop_iso_stream_header stop = {endpoint};
    usbredirparser_send_stop_iso_stream(peer->parser, id, &stop);
}

static void send_samples(struct redir_peer *peer, uint64_t id, uint32_t first, uint16_t length)
{
    struct usb_redir_iso_packet_header header = {.endpoint = AUDIO_EP_OUT, .length = length};
    uint8_t bytes[200] = {0};
    for (uint16_t i = 0; i + 4u <= length; i += 4, first++)
        for (unsigned int b = 0; b < 4; b++)
            bytes[i + b] = (uint8_t)(first >> 8 * b);
    usbredirparser_send_iso_packet(peer->parser, id, &header, bytes, length);
}

/* Every packet of the device, in its order and as it was; a spoiled one with its status. */
static void test_usbredir_iso_in(void **state)
{
    (void)state;
    struct redir_peer peer;
    struct usb_device *card = open_card(&peer);
    start_stream(&peer, 71, AUDIO_EP_IN, 4, 3);
    redir_peer_pass(&peer, 50);
    assert_in_range(peer.packets, 44, 50); /* whole URBs */
    assert_int_equal(peer.next, peer.packets * 48);
    audio_fail(card, AUDIO_EP_IN, 2, 0, -EPROTO);
    redir_peer_pass(&peer, 20);
    assert_int_equal(peer.bad_packets, 1);
    stop_stream(&peer, 72, 0x92); /* nobody's */
    redir_peer_pass(&peer, 200);
    assert_in_range(peer.packets, 262, 270);
    assert_int_equal(audio_stats(card, AUDIO_EP_IN).missed, 0);
    stop_stream(&peer, 73, AUDIO_EP_IN);
    redir_peer_expect(&peer, "71: iso 82 status 0; 72: iso 92 status 0; 73: iso 82 status 0; ");
    unsigned int before = peer.packets;
    redir_peer_pass(&peer, 20);
    assert_int_equal(peer.packets, before);
    /* Anew, from what the device has then; and its setting goes away below it. */
    peer.packets = 0;
    start_stream(&peer, 74, AUDIO_EP_IN, 1, 16);
    struct usb_redir_set_alt_setting_header setting = {.interface = 2, .alt = 0};
    usbredirparser_send_set_alt_setting(peer.parser, 75, &setting);
    redir_peer_pass(&peer, 10);
    redir_peer_expect(&peer, "74: iso 82 status 0; interfaces 3; 75: setting 2.0 status 0; ");
    assert_int_equal(peer.packets, 0);
    redir_peer_close(&peer);
}

/* Half of the URBs are collected first, then what comes goes on without a gap; too much, and too little. */
static void test_usbredir_iso_out(void **state)
{
    (void)state;
    struct redir_peer peer;
    struct usb_device *card = open_card(&peer);
    uint32_t at = 0;
    start_stream(&peer, 81, AUDIO_EP_OUT, 4, 6);
    for (; at < 11; at++)
        send_samples(&peer, 82, at * 48, 192);
    redir_peer_pass(&peer, 20);
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).packets, 0);
    for (; at < 200; at++) {
        send_samples(&peer, 82, at * 48, 192);
        redir_peer_pass(&peer, 1);
    }
    struct audio_stats stats = audio_stats(card, AUDIO_EP_OUT);
    assert_in_range(stats.packets, 184, 200);
    assert_int_equal(stats.samples, stats.packets * 48);
    assert_int_equal(stats.gaps + stats.odd + stats.doubled + stats.missed, 0);
    redir_peer_pass(&peer, 100); /* it runs empty */
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).packets, 200);
    for (unsigned int until = 204; until <= 212; until += 8) {
        assert_int_equal(audio_stats(card, AUDIO_EP_OUT).packets, 200); /* half of the URBs, again */
        for (; at < until; at++)
            send_samples(&peer, 82, at * 48, 192);
        redir_peer_pass(&peer, 20);
    }
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).packets, 212);
    for (; at < 300; at++)
        send_samples(&peer, 82, at * 48, 192);
    redir_peer_pass(&peer, 10); /* there is room, but not for half */
    for (; at < 304; at++)
        send_samples(&peer, 82, at * 48, 192);
    redir_peer_pass(&peer, 100);
    stats = audio_stats(card, AUDIO_EP_OUT);
    /* 24 have room; twelve by twelve are dropped then. Nothing is doubled or mixed up. */
    assert_int_equal(redir_stats(peer.redir).iso_lost, 68);
    assert_int_equal(stats.packets, 212 + 24);
    assert_int_equal(stats.odd + stats.doubled + stats.gaps, 0);
    audio_fail(card, AUDIO_EP_OUT, 1, 0, -EPIPE);
    for (; at < 336; at++)
        send_samples(&peer, 82, at * 48, 192);
    redir_peer_pass(&peer, 30);
    redir_peer_expect(
        &peer, "81: iso 01 status 0; 0: iso 01 status 3; "); /* one told of; no stall, which would end it */
    assert_int_equal(audio_stats(card, AUDIO_EP_OUT).gaps, 1);
    redir_peer_close(&peer); /* with a piece of an URB collected */
}

/* A packet is all that a high-bandwidth endpoint moves in a microframe. */
static void test_usbredir_iso_wide(void **state)
{
    (void)state;
    struct redir_peer peer;
    struct usb_device *zero;
    static uint8_t bytes[3072];
    assert_int_equal(zero_create(&(struct zero_config){.pattern = 1, .more = 2}, &zero), 0);
    redir_peer_open(&peer, zero);
    peer.unchecked = true;
    redir_peer_step(&peer);
    struct usb_redir_set_configuration_header header = {.configuration = ZERO_SOURCE_SINK};
    usbredirparser_send_set_configuration(peer.parser, 1, &header);
    struct usb_redir_set_alt_setting_header setting = {.interface = 0, .alt = 1};
    usbredirparser_send_set_alt_setting(peer.parser, 2, &setting);
    redir_peer_pass(&peer, 1);
    assert_int_equal(peer.endpoints.max_packet_size[16 + 2], sizeof(bytes));
    start_stream(&peer, 3, ZERO_EP_ISO_IN, 2, 4);
    start_stream(&peer, 4, ZERO_EP_ISO_OUT, 2, 4);
    for (unsigned int i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i % 1024 % 63);
    struct usb_redir_iso_packet_header out = {.endpoint = ZERO_EP_ISO_OUT, .length = sizeof(bytes)};
    for (unsigned int i = 0; i < 8; i++)
        usbredirparser_send_iso_packet(peer.parser, 5, &out, bytes, sizeof(bytes));
    redir_peer_pass(&peer, 20);
    assert_true(peer.packets > 10);
    assert_int_equal(peer.length, sizeof(bytes));
    assert_memory_equal(peer.data, bytes, sizeof(bytes));
    assert_int_equal(zero_stats(zero).packets_out, 8);
    assert_int_equal(zero_stats(zero).wrong, 0);
    assert_int_equal(redir_stats(peer.redir).refused, 0);
    redir_peer_close(&peer);
}

static void test_usbredir_iso_refusals(void **state)
{
    (void)state;
    struct redir_peer peer;
    (void)open_card(&peer);
    start_stream(&peer, 1, 0x81, 4, 4);        /* no such endpoint */
    start_stream(&peer, 2, AUDIO_EP_IN, 0, 4); /* sizes */
    start_stream(&peer, 3, AUDIO_EP_IN, 33, 4);
    start_stream(&peer, 4, AUDIO_EP_IN, 4, 17);
    start_stream(&peer, 5, AUDIO_EP_IN, 4, 0);
    send_samples(&peer, 6, 0, 192); /* no stream */
    redir_peer_expect(&peer,
                      "1: iso 81 status 2; 2: iso 82 status 2; 3: iso 82 status 2; 4: iso 82 status 2; "
                      "5: iso 82 status 2; 6: iso 01 status 2; ");
    start_stream(&peer, 7, AUDIO_EP_OUT, 4, 4);
    start_stream(&peer, 8, AUDIO_EP_OUT, 4, 4); /* twice */
    send_samples(&peer, 9, 0, 196);             /* more than the endpoint has */
    stop_stream(&peer, 10, AUDIO_EP_IN);        /* there is none */
    redir_peer_expect(&peer,
                      "7: iso 01 status 0; 8: iso 01 status 2; 9: iso 01 status 2; 10: iso 82 status 0; ");
    assert_int_equal(redir_stats(peer.redir).refused, 8);
    redir_peer_close(&peer);
}

/* A peer that does not read loses packets, not our memory; and a device that goes takes its streams along. */
static void test_usbredir_iso_ends(void **state)
{
    (void)state;
    struct redir_peer peer;
    (void)open_card(&peer);
    struct usb_host *host = sim_host_host(peer.sim);
    start_stream(&peer, 91, AUDIO_EP_IN, 32, 16);
    start_stream(&peer, 92, AUDIO_EP_OUT, 2, 2);
    send_samples(&peer, 93, 0, 192);
    redir_peer_expect(&peer, "91: iso 82 status 0; 92: iso 01 status 0; ");
    int little = 4096;
    assert_int_equal(setsockopt(redir_fd(peer.redir), SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
    for (unsigned int ms = 0; ms < 1200; ms++) {
        host->ops->step(host, peer.now_ns += 1000000);
        assert_int_equal(redir_step(peer.redir), 0);
    }
    assert_true(redir_stats(peer.redir).iso_lost > 100);
    assert_int_equal(sim_host_unplug(peer.sim, "1-1"), 0);
    for (unsigned int i = 0; i < 1000 && redir_step(peer.redir) == 0; i++) {
        uint8_t bytes[4096];
        while (recv(peer.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
            continue;
    }
    assert_int_equal(redir_step(peer.redir), -ENODEV);
    redir_peer_close(&peer);
}

/* Streams that come and go leave nothing taken, whatever they had collected. */
static void test_usbredir_iso_comes_and_goes(void **state)
{
    (void)state;
    struct redir_peer peer;
    (void)open_card(&peer);
    peer.unchecked = true;
    for (unsigned int i = 0; i < 130; i++) {
        start_stream(&peer, i, AUDIO_EP_IN, 1, 16);
        start_stream(&peer, i, AUDIO_EP_OUT, 2, 2);
        for (uint32_t at = 0; at < 3; at++)
            send_samples(&peer, i, at * 48, 192);
        redir_peer_pass(&peer, 2 + i % 3);
        stop_stream(&peer, i, AUDIO_EP_IN);
        stop_stream(&peer, i, AUDIO_EP_OUT);
        redir_peer_pass(&peer, 1);
        peer.told[0] = '\0';
    }
    assert_true(peer.packets > 50);
    assert_int_equal(redir_stats(peer.redir).iso_lost + redir_stats(peer.redir).refused, 0);
    redir_peer_close(&peer);
}

/* A peer that says anything, in any order: nothing breaks (sanitizers), and what follows works. */
static void test_usbredir_iso_anything(void **state)
{
    (void)state;
    uint32_t seed = 20261122;
    struct redir_peer peer;
    struct usb_device *card = open_card(&peer);
    print_message("seed %u\n", seed);
    peer.unchecked = true;
    for (unsigned int i = 0; i < 2000; i++) {
        static const uint8_t endpoints[] = {AUDIO_EP_IN, AUDIO_EP_IN, AUDIO_EP_OUT, AUDIO_EP_OUT,
                                            0x92,        0x81,        0x80};
        uint32_t x = (seed = seed * 1664525u + 1013904223u) >> 8;
        uint8_t endpoint = endpoints[x % 7];
        struct usb_redir_set_alt_setting_header setting = {.interface = x >> 4 & 3, .alt = (x >> 6 & 7) != 0};
        struct usb_redir_control_packet_header control = {
            .request = 11, .requesttype = 1, .value = (x >> 6 & 7) != 0, .index = x >> 4 & 3};
        switch (x >> 12 & 15) {
        case 0:
            usbredirparser_send_set_alt_setting(peer.parser, i, &setting);
            break;
        case 1: /* behind the protocol's back */
            usbredirparser_send_control_packet(peer.parser, i, &control, NULL, 0);
            break;
        case 2:
            if (x % 8 == 0)
                usbredirparser_send_reset(peer.parser);
            else
                usbredirparser_send_set_configuration(
                    peer.parser, i,
                    &(struct usb_redir_set_configuration_header){.configuration = (x >> 6 & 7) != 0});
            break;
        case 3:
            stop_stream(&peer, i, endpoint);
            break;
        case 4:
            audio_fail(card, x & 1 ? AUDIO_EP_IN : AUDIO_EP_OUT, x % 5, 0, x & 2 ? -EPIPE : -EPROTO);
            break;
        case 5:
        case 6:
        case 7:
            start_stream(&peer, i, endpoint, x >> 4 & 7, x >> 8 & 3);
            break;
        default:
            if (!(endpoint & 0x80u))
                send_samples(&peer, i, x, x >> 4 & 3 ? 192 : (x >> 4 & 0xff) % 200);
            break;
        }
        if (x >> 20 & 1)
            redir_peer_pass(&peer, 1 + (x >> 21 & 3));
        peer.told[0] = '\0';
    }
    assert_int_equal(redir_peer_step(&peer), 0);
    struct redir_stats stats = redir_stats(peer.redir);
    print_message("%u packets, %u lost, %u refused\n", (unsigned int)stats.iso_packets,
                  (unsigned int)stats.iso_lost, (unsigned int)stats.refused);
    assert_true(stats.iso_packets > 100 && peer.packets > 20);
    redir_peer_close(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usbredir_iso_in),       cmocka_unit_test(test_usbredir_iso_out),
        cmocka_unit_test(test_usbredir_iso_wide),     cmocka_unit_test(test_usbredir_iso_refusals),
        cmocka_unit_test(test_usbredir_iso_ends),     cmocka_unit_test(test_usbredir_iso_comes_and_goes),
        cmocka_unit_test(test_usbredir_iso_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

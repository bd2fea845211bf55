// SPDX-License-Identifier: MIT
// "PVUSB Status Update", Xen Summit, November 2009: creating and destroying a controller, attaching and detaching.
// The devices are at the slides' places; ours have other names.

# pvusb bus plug 1-1 serial
# pvusb bus plug 1-2 disk:./disk.img
# pvusb bus plug 2-4.3.3 audio
# pvusb bus plug 2-4.4 disk:1M
# pvusb bus plug 2-5 zero
# pvusb bus plug 3-2 composite
# pvusb bus plug 6-1.1 keyboard
# pvusb bus plug 6-1.2 keyboard
# pvusb guest-create --name guest_A
guest_A: domain 1
# guest ^guest guest_A, domain 1

// Example: (Create USB2.0 host controller that has 8 ports for guest_A)
# xm usb-hc-create guest_A 2 8
# guest ^controller 0: connected, 8 ports
# xm usb-list guest_A
Idx BE  state usb-ver BE-path                       
0   0   4     USB2.0  /local/domain/0/backend/vusb/1/0  
port 1: 
port 2: 
port 3: 
port 4: 
port 5: 
port 6: 
port 7: 
port 8: 

// All the devices excluding usb hubs and already assigned ones are shown like lsusb output.
# xm usb-list-assignable-devices
1-1          : ID 1209:0102 PVUSB Simulated serial port
1-2          : ID 1209:0001 PVUSB Simulated disk
2-4.3.3      : ID 1209:0002 PVUSB Simulated sound card
2-4.4        : ID 1209:0001 PVUSB Simulated disk
2-5          : ID 0525:a4a0 PVUSB Gadget Zero
3-2          : ID 1209:0100 PVUSB Simulated composite device
6-1.1        : ID 1209:0101 PVUSB Simulated keyboard
6-1.2        : ID 1209:0101 PVUSB Simulated keyboard

// If a USB device is already on that bus, the device is seized by usbback and connected to the guest's port.
# xm usb-attach guest_A 0 3 1-2
# guest ^controller 0 port 3: address 1, 1209:0001 "Simulated disk"
# guest ^controller 0 port 3: disk PVUSB Simulated disk, 2048 blocks of 512 bytes
# guest ^controller 0 port 3: read 1048576 bytes, checksum 00af9d773d622325
# xm usb-list guest_A
Idx BE  state usb-ver BE-path                       
0   0   4     USB2.0  /local/domain/0/backend/vusb/1/0  
port 1: 
port 2: 
port 3: 1-2 [ID 1209:0001 PVUSB Simulated disk]
port 4: 
port 5: 
port 6: 
port 7: 
port 8: 
# xm usb-list-assignable-devices
1-1          : ID 1209:0102 PVUSB Simulated serial port
2-4.3.3      : ID 1209:0002 PVUSB Simulated sound card
2-4.4        : ID 1209:0001 PVUSB Simulated disk
2-5          : ID 0525:a4a0 PVUSB Gadget Zero
3-2          : ID 1209:0100 PVUSB Simulated composite device
6-1.1        : ID 1209:0101 PVUSB Simulated keyboard
6-1.2        : ID 1209:0101 PVUSB Simulated keyboard

// Real hotplug: automatically attach/detach the device with actual hotplug.
# pvusb bus unplug 1-2
# guest ^controller 0 port 3: gone
# xm usb-list guest_A
Idx BE  state usb-ver BE-path                       
0   0   4     USB2.0  /local/domain/0/backend/vusb/1/0  
port 1: 
port 2: 
port 3: 1-2 [not plugged in]
port 4: 
port 5: 
port 6: 
port 7: 
port 8: 
# pvusb bus plug 1-2 disk:./disk.img
# guest 2 ^controller 0 port 3: read 1048576 bytes, checksum 00af9d773d622325

// If a USB device is already connected to the guest's port, the device is disconnected from the guest.
# xm usb-detach guest_A 0 3
# guest 2 ^controller 0 port 3: gone
# xm usb-attach guest_A 0 5 2-4.3.3
# guest ^controller 0 port 5: address .*, 1209:0002 "Simulated sound card"
# xm usb-attach guest_A 0 6 1-7
1-7: nothing is plugged in there; 'guest_A' gets what will be
# pvusb bus plug 1-7 keyboard
# guest ^controller 0 port 6: address .*, 1209:0101 "Simulated keyboard"

// What is refused, and why.
# xm usb-attach guest_A 0 3 2-4.3.3
pvusb usb-attach: Cannot assign already attached bus '2-4.3.3', detach first: 'pvusb usb-detach 1 0 5'
# ends 1
# xm usb-attach guest_A 0 5 1-1
pvusb usb-attach: Cannot override already attached port '5', detach first: it has 2-4.3.3
# ends 1
# xm usb-attach guest_A 0 9 1-1
pvusb usb-attach: Invalid Port Number '9': controller 0 of 'guest_A' has ports 1 to 8
# ends 1
# xm usb-attach guest_A 1 1 1-1
pvusb usb-attach: Cannot find device '1' in domain 'guest_A': 'pvusb usb-list guest_A' shows its controllers
# ends 1
# xm usb-attach guest_A 0 1 2-4
pvusb usb-attach: USB device is not assignable. 2-4 is a hub; attach what is behind it
# ends 1
# xm usb-attach guest_A 0 1 1.1
pvusb usb-attach: Invalid Busid '1.1': a place on a bus is like 1-2 or 2-4.3.3
# ends 2

// Example: (Destroy guest_A's USB host controller the DevId is 0)
# xm usb-hc-destroy guest_A 0
# xm usb-list guest_A
# xm usb-hc-destroy guest_A 0
pvusb usb-hc-destroy: Cannot find device '0' in domain 'guest_A': 'pvusb usb-list guest_A' shows its controllers
# ends 1

// The next one has the number again; a USB 1.1 controller takes no high-speed device.
# xm usb-hc-create guest_A 1 2
# xm usb-attach guest_A 0 1 1-2
pvusb usb-attach: 1-2 is a high-speed device, and controller 0 of 'guest_A' is USB 1.1: make one of USB 2.0
# ends 1
# xm usb-attach guest_A 0 1 6-1.1
# xm usb-hc-create guest_A 2 31
pvusb usb-hc-create: warning: 31 ports; xm and the frontends of its day go to 16
# xm usb-attach guest_A 1 31 1-2
# guest ^controller 1 port 31: read 1048576 bytes, checksum 00af9d773d622325
# pvusb guest-destroy guest_A
# xm usb-list guest_A
pvusb usb-list: Domain 'guest_A' does not exist; 'pvusb guest-list' shows those that do
# ends 1

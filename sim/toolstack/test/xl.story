// SPDX-License-Identifier: MIT
// The commands of xl, and where they are better here.

# pvusb bus plug 1-1 serial
# pvusb bus plug 4-1 disk:./disk.img
# pvusb bus plug 4-2.1 keyboard
# pvusb bus list
1-1          : Bus 001 Device 002: ID 1209:0102 PVUSB Simulated serial port
4-1          : Bus 004 Device 002: ID 1209:0001 PVUSB Simulated disk
4-2          : Bus 004 Device 003: ID 1209:0900 PVUSB Simulated hub
4-2.1        : Bus 004 Device 004: ID 1209:0101 PVUSB Simulated keyboard
# pvusb guest-create --name guest_A
guest_A: domain 1
# xl usb-list guest_A

# xl usbctrl-attach guest_A type=qusb version=2 ports=4
# guest ^controller 0: connected, 4 ports
# xl usbdev-attach guest_A hostbus=4 hostaddr=2
# guest ^controller 0 port 1: address 1, 1209:0001 "Simulated disk"
# guest ^controller 0 port 1: read 1048576 bytes
# xl usb-list guest_A
Devid  Type         BE  state usb-ver ports
0      qusb         0   4     2       4    
  Port 1: Bus 004 Device 002
  Port 2:
  Port 3:
  Port 4:
# pvusb usb-list guest_A
Idx BE  state usb-ver BE-path                       
0   0   4     USB2.0  /local/domain/0/backend/qusb/1/0  
port 1: 4-1 [ID 1209:0001 PVUSB Simulated disk]
port 2: 
port 3: 
port 4: 

// A kernel's controller, a port of one's own choice, and decimal means decimal.
# xl usbctrl-attach 1 type=PV version=1 ports=1
# guest ^controller 1: connected, 1 ports
# xl usbdev-attach guest_A hostbus=004 hostaddr=004 controller=1 port=1
# guest ^controller 1 port 1: address 1, 1209:0101
# xl usbdev-attach guest_A type=hostdev hostbus=1 hostaddr=2 controller=0 port=4
# xl usb-list guest_A
Devid  Type         BE  state usb-ver ports
0      qusb         0   4     2       4    
  Port 1: Bus 004 Device 002
  Port 2:
  Port 3:
  Port 4: Bus 001 Device 002
1      pv           0   4     1       1    
  Port 1: Bus 004 Device 004

// What is refused.
# xl usbdev-attach guest_A hostbus=4 hostaddr=2
pvusb usbdev-attach: USB device already attached to a domain: 4-1 is on port 1 of controller 0 of domain 1
# ends 1
# xl usbdev-attach guest_A hostbus=4 hostaddr=3
pvusb usbdev-attach: USB device is not assignable. 4-2 is a hub; attach what is behind it
# ends 1
# xl usbdev-attach guest_A hostbus=9 hostaddr=9
pvusb usbdev-attach: USB device is not assignable. No device 9 on bus 9; 'pvusb bus list' shows them
# ends 1
# pvusb bus plug 1-2 serial
# xl usbdev-attach guest_A hostbus=1 hostaddr=3 controller=0 port=1
pvusb usbdev-attach: The controller port isn't available: it has 4-1
# ends 1
# xl usbdev-attach guest_A hostbus=1 hostaddr=3 controller=0 port=20
pvusb usbdev-attach: Invalid Port Number '20': controller 0 of 'guest_A' has ports 1 to 4
# ends 1
# xl usbdev-attach guest_A hostbus=1 hostaddr=3 controller=1
pvusb usbdev-attach: 1-2 is a high-speed device, and controller 1 of 'guest_A' is USB 1.1: make one of USB 2.0
# ends 1
# pvusb bus plug 1-3 keyboard
# xl usbdev-attach guest_A hostbus=1 hostaddr=4 controller=1
pvusb usbdev-attach: No available port under specified controller: all 1 are taken
# ends 1
# xl usbdev-attach guest_A hostbus=1 hostaddr=3 controller=7
pvusb usbdev-attach: Cannot find device '7' in domain 'guest_A': 'pvusb usb-list guest_A' shows its controllers
# ends 1
# xl usbdev-detach guest_A 0 2
pvusb usbdev-detach: Unknown device at controller 0 port 2: there is no device on it
# ends 1
# xl usbctrl-detach guest_A 5
pvusb usbctrl-detach: Unknown device 5 in domain 'guest_A': 'pvusb usb-list guest_A' shows its controllers
# ends 1
# xl usbctrl-attach guest_A type=devicemodel
pvusb usbctrl-attach: type=devicemodel is no PVUSB: here an HVM guest has usb = 1
# ends 1

// A device that vanished wedges nothing: others are attached, it is listed and detached.
# pvusb bus unplug 4-1
# guest ^controller 0 port 1: gone
# xl usb-list guest_A
Devid  Type         BE  state usb-ver ports
0      qusb         0   4     2       4    
  Port 1: 4-1 not plugged in
  Port 2:
  Port 3:
  Port 4: Bus 001 Device 002
1      pv           0   4     1       1    
  Port 1: Bus 004 Device 004
# xl usbdev-attach guest_A hostbus=1 hostaddr=3
# guest ^controller 0 port 2: address .*, 1209:0102
# xl usbdev-detach guest_A 0 1
# xl usbdev-detach guest_A controller=0 port=4
# guest ^controller 0 port 4: gone

// xl's quirks, for scripts that count on them: hexadecimal out, C's numbers in, words that are 0.
# pvusb bus plug 10-1 keyboard
# xl usbdev-attach --compat guest_A hostbus=0xa hostaddr=2 controller=0 port=1
# xl usb-list --compat guest_A
Devid  Type         BE  state usb-ver ports
0      qusb         0   4     2       4    
  Port 1: Bus 00a Device 002
  Port 2: Bus 001 Device 003
  Port 3:
  Port 4:
1      pv           0   4     1       1    
  Port 1: Bus 004 Device 004
# xl usbdev-detach --compat guest_A controller=0 port=1
pvusb usbdev-detach: Unknown device at controller 0 port 0.
# ends 1

// No port is free: a controller is made.
# xl usbctrl-detach guest_A 0
# xl usbdev-attach guest_A hostbus=1 hostaddr=2
# guest ^controller 2: connected, 8 ports
# guest ^controller 2 port 1: address 1, 1209:0102
# xl usbctrl-detach guest_A 2
# xl usbctrl-detach --compat guest_A 1
# xl usb-list guest_A
# pvusb guest-destroy guest_A

# OpenStack's network_data.json -> one line for each thing to do, words apart by blanks:
#   link MAC MTU|-    dhcp MAC    address MAC ADDRESS/PREFIX    route MAC NETWORK/PREFIX GATEWAY    dns ADDRESS

# A mask of either family -> how many bits are set, counted digit by digit.
def bits:
    if test("\\.")
    then [split(".")[] | {"255": 8, "254": 7, "252": 6, "248": 5, "240": 4, "224": 3, "192": 2, "128": 1, "0": 0}[.]]
    else [split("")[] | {"f": 4, "e": 3, "c": 2, "8": 1}[ascii_downcase] // 0]
    end | add // 0;

# The mask is a field of its own, or part of the address.
def with_prefix($address; $mask):
    if $mask then "\($address | split("/")[0])/\($mask | tostring | if test("^[0-9]+$") then . else bits end)"
    elif ($address | test("/")) then $address
    else "\($address)/\(if $address | test(":") then 64 else 24 end)"
    end;

. as $data
| (.links // [])[] as $link
| ($link.ethernet_mac_address | ascii_downcase) as $mac
| "link \($mac) \($link.mtu // "-")",
  (($data.networks // [])[]
   | select(.link == $link.id)
   | if .type == "ipv4_dhcp" then "dhcp \($mac)"
     elif .ip_address then
         "address \($mac) \(with_prefix(.ip_address; .netmask))",
         ((.routes // [])[] | "route \($mac) \(with_prefix(.network; .netmask)) \(.gateway)")
     else empty
     end),
  (if $link == $data.links[0]
   then (($data.services // [])[] | select(.type == "dns") | "dns \(.address)")
   else empty
   end)

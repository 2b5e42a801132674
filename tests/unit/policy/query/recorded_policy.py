"""A small kernel policy for tests that ask libsepol without a compiler: its bytes, and their source.

test_decide.py compares its decisions with those of the policy that secilc makes of the source.
"""

from __future__ import annotations

import base64
import zlib

CIL = """
(mls true)
(sid kernel) (sidorder (kernel)) (sidcontext kernel (u r kernel_t ((s0) (s0))))
(sensitivity s0) (sensitivityorder (s0))
(category c0) (category c1) (category c2) (category c3) (categoryorder (c0 c1 c2 c3))
(sensitivitycategory s0 (range c0 c3))
(class file (read write open ioctl nlmsg))
(class process (transition dyntransition)) (classorder (file process))
(user u) (role r) (role other_r) (userrole u r) (userrole u other_r)
(userlevel u (s0)) (userrange u ((s0) (s0 (range c0 c3))))
(typeattribute domain)
(type kernel_t) (type etc_t) (type shared_t) (type base_t) (type web_t) (type child_t)
(typeattributeset domain (kernel_t base_t web_t child_t))
(roletype r kernel_t) (roletype r etc_t) (roletype r shared_t) (roletype r base_t)
(roletype r web_t) (roletype r child_t) (roletype other_r web_t) (roletype other_r base_t)
(typebounds base_t child_t)
(boolean shiny false) (boolean loud true) (boolean third false)
(mlsconstrain (file (read write)) (dom h1 h2))
(constrain (process (dyntransition)) (eq t1 t2))
(allow domain shared_t (file (read)))
(allow web_t etc_t (file (open ioctl nlmsg)))
(allow web_t base_t (file (ioctl)))
(allow web_t kernel_t (file (ioctl)))
(allow web_t base_t (process (transition dyntransition)))
(allow web_t web_t (process (transition)))
(allow child_t etc_t (file (open)))
(allowx web_t etc_t (ioctl file (0x8927 0x8933)))
(dontauditx web_t base_t (ioctl file (0x1)))
(booleanif (shiny) (true (allow base_t etc_t (file (write))) (allow base_t etc_t (file (open)))))
(booleanif (not (loud)) (true (allow web_t etc_t (file (read)))))
(booleanif (not (loud)) (true (allow web_t shared_t (file (ioctl)))))
(booleanif (and (shiny) (third)) (true (allow web_t shared_t (file (write)))))
(allowx web_t shared_t (ioctl file (0x1)))
"""
_BYTES = """
eNqNVEtOwzAQjZ0vlRBiz4LeoMAFyoIdOw4QpY4hhtSpHFelEkJskbgwK4iTcTs1MTDSyJPnefN1+/H18pkFQXB3c34r5Pp52tmkU4Md
dToP9oJtKxQ0db4pxFmphvG2PQao3EqtCtkKLRo5AZ89YlkRKAnGJYLT3Megxr4XNY8h1UYJ3X8YZ9EwXduIihelZcl62T6Yi7DTZsVl
iEowRugpIQRNg71PoyuucjWHWRGnWhefoS4o2D/I1EN+hTNDWLN45EwPBYwtLQVN0MiMLIqW5zqGTizKNct1hnZp5IkryesBxxtqq0Lx
Mtc2hd0Mq0RdDrET5L7hi1xbwI6vbJaFkARQgtzXbvcJmo51dLvG/ido1PORLeKHVzfr0pZk6taVUCVBQFsJuSXO4toZ+SWvfdB4lGxG
EZ9dUDQKdknRw2FXk77npPMmPT/pCjFWtrODiOxi+cR4mghhb0eGRf5mpZ2/yRX1LIryDvjZzu6ivRvGW38/LqTPSw4WHzorD52feAIc
ijB3/hT54eqIhxOjrqxNR+s95Ple3H/FfSHEg4ce3PdnknnwUw8+9eDXcH4DPPxOag==
"""
POLICY = zlib.decompress(base64.b64decode(_BYTES))

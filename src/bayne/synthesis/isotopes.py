"""Natural fractions of the isotopes of the elements."""

from __future__ import annotations

from ..errors import BayneError
from .species import SYMBOLS, Species

#: Mass numbers and mole fractions: representative isotopic compositions of the IUPAC as tabulated by NIST (Coursey,
#: Schwab, Tsai & Dragoset 2015, Atomic Weights and Isotopic Compositions 4.1; Berglund & Wieser 2011, Pure Appl. Chem.
#: 83, 397, Table 1). Elements with one stable isotope have its mass number alone.
_TABLE = """
H 1:0.999885 2:0.000115; He 3:1.34e-6 4:0.99999866; Li 6:0.0759 7:0.9241; Be 9; B 10:0.199 11:0.801
C 12:0.9893 13:0.0107; N 14:0.99636 15:0.00364; O 16:0.99757 17:0.00038 18:0.00205; F 19
Ne 20:0.9048 21:0.0027 22:0.0925; Na 23; Mg 24:0.7899 25:0.1000 26:0.1101; Al 27
Si 28:0.92223 29:0.04685 30:0.03092; P 31; S 32:0.9499 33:0.0075 34:0.0425 36:0.0001; Cl 35:0.7576 37:0.2424
Ar 36:0.003336 38:0.000629 40:0.996035; K 39:0.932581 40:0.000117 41:0.067302
Ca 40:0.96941 42:0.00647 43:0.00135 44:0.02086 46:0.00004 48:0.00187; Sc 45
Ti 46:0.0825 47:0.0744 48:0.7372 49:0.0541 50:0.0518; V 50:0.0025 51:0.9975
Cr 50:0.04345 52:0.83789 53:0.09501 54:0.02365; Mn 55; Fe 54:0.05845 56:0.91754 57:0.02119 58:0.00282; Co 59
Ni 58:0.68077 60:0.26223 61:0.011399 62:0.036346 64:0.009255; Cu 63:0.6915 65:0.3085
Zn 64:0.4917 66:0.2773 67:0.0404 68:0.1845 70:0.0061; Ga 69:0.60108 71:0.39892
Ge 70:0.2057 72:0.2745 73:0.0775 74:0.3650 76:0.0773; As 75
Se 74:0.0089 76:0.0937 77:0.0763 78:0.2377 80:0.4961 82:0.0873; Br 79:0.5069 81:0.4931
Kr 78:0.00355 80:0.02286 82:0.11593 83:0.11500 84:0.56987 86:0.17279; Rb 85:0.7217 87:0.2783
Sr 84:0.0056 86:0.0986 87:0.0700 88:0.8258; Y 89; Zr 90:0.5145 91:0.1122 92:0.1715 94:0.1738 96:0.0280; Nb 93
Mo 92:0.1453 94:0.0915 95:0.1584 96:0.1667 97:0.0960 98:0.2439 100:0.0982
Ru 96:0.0554 98:0.0187 99:0.1276 100:0.1260 101:0.1706 102:0.3155 104:0.1862; Rh 103
Pd 102:0.0102 104:0.1114 105:0.2233 106:0.2733 108:0.2646 110:0.1172; Ag 107:0.51839 109:0.48161
Cd 106:0.0125 108:0.0089 110:0.1249 111:0.1280 112:0.2413 113:0.1222 114:0.2873 116:0.0749; In 113:0.0429 115:0.9571
Sn 112:0.0097 114:0.0066 115:0.0034 116:0.1454 117:0.0768 118:0.2422 119:0.0859 120:0.3258 122:0.0463 124:0.0579
Sb 121:0.5721 123:0.4279; I 127; Cs 133
Te 120:0.0009 122:0.0255 123:0.0089 124:0.0474 125:0.0707 126:0.1884 128:0.3174 130:0.3408
Xe 124:0.000952 126:0.000890 128:0.019102 129:0.264006 130:0.040710 131:0.212324 132:0.269086 134:0.104357 136:0.088573
Ba 130:0.00106 132:0.00101 134:0.02417 135:0.06592 136:0.07854 137:0.11232 138:0.71698
La 138:0.0008881 139:0.9991119; Ce 136:0.00185 138:0.00251 140:0.88450 142:0.11114; Pr 141
Nd 142:0.27152 143:0.12174 144:0.23798 145:0.08293 146:0.17189 148:0.05756 150:0.05638
Sm 144:0.0307 147:0.1499 148:0.1124 149:0.1382 150:0.0738 152:0.2675 154:0.2275; Eu 151:0.4781 153:0.5219
Gd 152:0.0020 154:0.0218 155:0.1480 156:0.2047 157:0.1565 158:0.2484 160:0.2186; Tb 159
Dy 156:0.00056 158:0.00095 160:0.02329 161:0.18889 162:0.25475 163:0.24896 164:0.28260; Ho 165
Er 162:0.00139 164:0.01601 166:0.33503 167:0.22869 168:0.26978 170:0.14910; Tm 169
Yb 168:0.00123 170:0.02982 171:0.14090 172:0.21680 173:0.16103 174:0.32026 176:0.12996; Lu 175:0.97401 176:0.02599
Hf 174:0.0016 176:0.0526 177:0.1860 178:0.2728 179:0.1362 180:0.3508; Ta 180:0.0001201 181:0.9998799
W 180:0.0012 182:0.2650 183:0.1431 184:0.3064 186:0.2843; Re 185:0.3740 187:0.6260
Os 184:0.0002 186:0.0159 187:0.0196 188:0.1324 189:0.1615 190:0.2626 192:0.4078; Ir 191:0.373 193:0.627
Pt 190:0.00012 192:0.00782 194:0.32860 195:0.33780 196:0.25210 198:0.07356; Au 197
Hg 196:0.0015 198:0.0997 199:0.1687 200:0.2310 201:0.1318 202:0.2986 204:0.0687; Tl 203:0.2952 205:0.7048
Pb 204:0.014 206:0.241 207:0.221 208:0.524; Bi 209; Th 232; Pa 231; U 234:0.000054 235:0.007204 238:0.992742
"""


def _parse(table: str) -> dict[tuple[int, int], float]:
    """Fractions by atomic number and mass number."""
    fractions = {}
    for entry in table.replace("\n", ";").split(";"):
        symbol, *isotopes = entry.split() or [""]
        for isotope in isotopes:
            mass, _, fraction = isotope.partition(":")
            fractions[SYMBOLS.index(symbol), int(mass)] = float(fraction or 1.0)
    return fractions


#: Mole fraction of each isotope of an element by (atomic number, mass number), as on Earth.
FRACTIONS: dict[tuple[int, int], float] = _parse(_TABLE)


def fraction(species: Species, isotopes: tuple[int, ...]) -> float:
    """Fraction of a species that has given isotopes, if they mix as on Earth.

    Parameters
    ----------
    species, isotopes
        A mass number for each of ``species.atoms``, in their order; 0 for the natural mixture.

    Raises
    ------
    BayneError
        An isotope that does not occur in nature.

    Notes
    -----
    The product over the atoms. C2 of two different isotopes is twice as frequent, but has twice as many rotational
    levels as C2 of equal ones, so that with the partition function of equal ones the product is right for it too.
    """
    product = 1.0
    for z, mass in zip(species.atoms, isotopes, strict=True):
        if mass and (z, mass) not in FRACTIONS:
            known = ", ".join(str(m) for n, m in FRACTIONS if n == z) or "none"
            raise BayneError(f"{SYMBOLS[z]} has no natural isotope {mass}; it has {known}")
        product *= FRACTIONS[z, mass] if mass else 1.0
    return product

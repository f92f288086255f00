"""Random numbers at an address: the same everywhere, shared by no two."""

from melanoma_exp.system.randomness import Purpose, address, generator


def test_numbers_at_an_address_are_the_same_on_every_machine():
    assert address("ISIC_0000001") == 11214559772032735132
    draws = generator(7, Purpose.CHILD, 3, 1).integers(0, 1000, 3).tolist()
    assert draws == [37, 545, 355]


def test_no_two_addresses_share_their_numbers():
    top = 2**64 - 1  # beyond what a float or a signed integer holds
    addresses = [
        (s, p, a, b)
        for s in (0, 1, top - 1, top)
        for p in (Purpose.SPLIT, Purpose.CHILD)
        for a in (0, 1, 2**63, 2**63 + 1, top - 1, top)
        for b in (0, 1, top)
    ]
    first = {generator(*one).integers(2**63) for one in addresses}
    assert len(first) == len(addresses)
